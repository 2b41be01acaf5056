@echo off
rem Installs payagent as a service. Run as administrator. 以管理员身份运行，安装为系统服务。
rem   install.cmd [profile]     profile: counter (default) or kiosk
setlocal
set FROM=%~dp0
set TO=%ProgramFiles%\payagent
set HOME_DIR=%ProgramData%\payagent
set CONF=%HOME_DIR%\payagent.yaml
set PROFILE=%~1
if "%PROFILE%"=="" set PROFILE=counter

net session >nul 2>&1
if errorlevel 1 (
  echo Run this as administrator. 请以管理员身份运行。
  exit /b 5
)
if not exist "%FROM%profiles\%PROFILE%\payagent.yaml" (
  echo There is no profile %PROFILE%. 没有这个配置。
  exit /b 2
)
mkdir "%TO%" 2>nul
mkdir "%HOME_DIR%\secrets" 2>nul

rem A program that runs can be renamed, not overwritten: a payment goes on.
if exist "%TO%\payagent.exe" (
  del "%TO%\payagent.old.exe" 2>nul
  move /y "%TO%\payagent.exe" "%TO%\payagent.old.exe" >nul
  if errorlevel 1 exit /b 1
)
if /i not "%FROM%"=="%TO%\" (
  xcopy /e /i /y /q "%FROM%profiles" "%TO%\profiles" >nul
  copy /y "%FROM%*.txt" "%TO%" >nul
  copy /y "%FROM%*.cmd" "%TO%" >nul
)
copy /y "%FROM%payagent.exe" "%TO%\payagent.exe" >nul
if errorlevel 1 (
  move /y "%TO%\payagent.old.exe" "%TO%\payagent.exe" >nul
  echo The program could not be written. 程序写入失败。
  exit /b 1
)

rem The configuration of the site is never touched. 已有的配置不动。
if not exist "%CONF%" (
  copy "%FROM%profiles\%PROFILE%\payagent.yaml" "%CONF%" >nul
  "%TO%\payagent.exe" service install --config "%CONF%" || exit /b 1
  echo Fill in %CONF%, then: 填好配置后执行：
  echo   "%TO%\payagent.exe" service start
  exit /b 0
)
"%TO%\payagent.exe" config check --config "%CONF%" >nul
if errorlevel 1 (
  echo The new version does not take the configuration; correct it and restart the service.
  echo 新版本不接受现有配置；改好后重启服务。旧版本继续运行。
  exit /b 3
)
sc query payagent >nul 2>&1
if errorlevel 1 (
  "%TO%\payagent.exe" service install --config "%CONF%" || exit /b 1
)
sc query payagent | find "RUNNING" >nul
if errorlevel 1 exit /b 0

rem The service is started anew when nothing waits; after two minutes of
rem payments it is left to the next start of the machine.
set /a LEFT=24
:idle
"%TO%\payagent.exe" queue ls --config "%CONF%" 2>nul | findstr /b /c:"0 " >nul
if not errorlevel 1 goto restart
set /a LEFT-=1
if %LEFT% leq 0 (
  echo Payments are under way; the new version counts from the next start of the service.
  echo 正在收款；新版本在服务下次启动时生效。
  exit /b 0
)
ping -n 6 127.0.0.1 >nul
goto idle
:restart
"%TO%\payagent.exe" service stop || exit /b 1
"%TO%\payagent.exe" service start || exit /b 1
del "%TO%\payagent.old.exe" 2>nul
exit /b 0
