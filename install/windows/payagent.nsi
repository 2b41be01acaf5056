; The set-up for Windows: unpacks and runs install.cmd, which does the work.
; 静默安装 silent: payagent-VERSION-ARCH-setup.exe /S
; Given on the command line: VERSION, ARCH (amd64 or 386), FILES, OUT.
Unicode true
ManifestSupportedOS all
RequestExecutionLevel admin
Name "payagent ${VERSION}"
OutFile "${OUT}"
SetCompressor /SOLID lzma
SetDateSave off
BrandingText "payagent ${VERSION}"
!include LogicLib.nsh
!include x64.nsh
Page instfiles
UninstPage uninstConfirm
UninstPage instfiles
!define KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\payagent"

Function .onInit
!if ${ARCH} == amd64
  ${IfNot} ${RunningX64}
    MessageBox MB_OK|MB_ICONSTOP "This Windows has 32 bits: take the 386 set-up. 此系统为 32 位，请用 386 安装包。" /SD IDOK
    SetErrorLevel 2
    Quit
  ${EndIf}
  SetRegView 64
  StrCpy $INSTDIR "$PROGRAMFILES64\payagent"
!else
  StrCpy $INSTDIR "$PROGRAMFILES\payagent"
!endif
FunctionEnd

Function un.onInit
!if ${ARCH} == amd64
  SetRegView 64
!endif
FunctionEnd

; run NAME runs a script of the set-up, in the 64-bit world where there is one,
; so that %ProgramFiles% is the right one.
!macro run script
!if ${ARCH} == amd64
  ${DisableX64FSRedirection}
!endif
  nsExec::ExecToLog '"$SYSDIR\cmd.exe" /d /c ""${script}""'
  Pop $0
!if ${ARCH} == amd64
  ${EnableX64FSRedirection}
!endif
!macroend

Section
  InitPluginsDir
  SetOutPath "$PLUGINSDIR\payagent"
  File /r "${FILES}/*"
  SetOutPath "$TEMP"
  !insertmacro run "$PLUGINSDIR\payagent\install.cmd"
  ${If} $0 != 0
    DetailPrint "install.cmd: $0"
    SetErrorLevel $0
    Abort
  ${EndIf}
  SetOutPath "$INSTDIR"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKLM "${KEY}" "DisplayName" "payagent 当面付代理"
  WriteRegStr HKLM "${KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKLM "${KEY}" "Publisher" "payagent"
  WriteRegStr HKLM "${KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKLM "${KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKLM "${KEY}" "NoModify" 1
SectionEnd

; Configuration and orders stay. 保留配置和订单。
Section Uninstall
  SetOutPath "$TEMP"
  !insertmacro run "$INSTDIR\uninstall.cmd"
  Delete "$INSTDIR\*.cmd"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  DeleteRegKey HKLM "${KEY}"
SectionEnd
