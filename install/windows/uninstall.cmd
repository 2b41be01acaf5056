@echo off
rem Takes the service and the program away. Configuration and orders stay in
rem %ProgramData%\payagent. 卸载服务与程序；配置和订单保留。
setlocal
set TO=%ProgramFiles%\payagent
net session >nul 2>&1
if errorlevel 1 (
  echo Run this as administrator. 请以管理员身份运行。
  exit /b 5
)
if exist "%TO%\payagent.exe" (
  "%TO%\payagent.exe" service stop >nul 2>&1
  "%TO%\payagent.exe" service uninstall
)
del "%TO%\payagent.exe" "%TO%\payagent.old.exe" 2>nul
rmdir /s /q "%TO%\profiles" 2>nul
del "%TO%\*.txt" 2>nul
echo Configuration and orders stay in %ProgramData%\payagent. 配置和订单保留在该目录。
exit /b 0
