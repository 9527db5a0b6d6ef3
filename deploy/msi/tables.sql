-- What wixl has no element for, one statement a line; deploy/package runs them on the package that wixl has made.
-- The tables are described in Microsoft's "Windows Installer database reference".

-- Given on the command line and handed to the part that runs with rights; the token stays out of the installer's log.
UPDATE `Property` SET `Value` = 'COLLECTOR;TOKEN;NAME;CLASS;ACCOUNT;WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED' WHERE `Property` = 'SecureCustomProperties'
INSERT INTO `Property` (`Property`, `Value`) VALUES ('MsiHiddenProperties', 'TOKEN')
-- Disk health, drive encryption and the antivirus program's state are told to administrators alone.
INSERT INTO `Property` (`Property`, `Value`) VALUES ('ACCOUNT', 'LocalSystem')
INSERT INTO `Property` (`Property`, `Value`) VALUES ('ARPNOMODIFY', '1')
INSERT INTO `LaunchCondition` (`Condition`, `Description`) VALUES ('Installed OR VersionNT64 >= 603', 'The Bellwether agent needs a 64-bit Windows 10 or newer.')

-- Another build of the same version replaces it, too (512: up to and including); settings of features are kept (1).
DELETE FROM `Upgrade` WHERE `ActionProperty` = 'WIX_UPGRADE_DETECTED'
INSERT INTO `Upgrade` (`UpgradeCode`, `VersionMax`, `Attributes`, `ActionProperty`) VALUES ('{6A7BE0A5-0C57-4D0E-9B31-0D2D8F1D6B52}', '@VERSION@', 513, 'WIX_UPGRADE_DETECTED')
-- Inside the transaction: if the new version can't be installed, the old one is put back and runs on.
UPDATE `InstallExecuteSequence` SET `Sequence` = 1525 WHERE `Action` = 'RemoveExistingProducts'

-- State is never removed (16), whoever installs, upgrades or uninstalls. 256: 64-bit.
UPDATE `Component` SET `Attributes` = 272 WHERE `Component` = 'State'
-- The private key is for the system and administrators alone, and for the service if it runs with fewer rights.
CREATE TABLE `MsiLockPermissionsEx` (`MsiLockPermissionsEx` CHAR(72) NOT NULL, `LockObject` CHAR(72) NOT NULL, `Table` CHAR(32) NOT NULL, `SDDLText` CHAR(0) NOT NULL, `Condition` CHAR(255) PRIMARY KEY `MsiLockPermissionsEx`)
INSERT INTO `MsiLockPermissionsEx` (`MsiLockPermissionsEx`, `LockObject`, `Table`, `SDDLText`, `Condition`) VALUES ('StateRights', 'STATEDIR', 'CreateFolder', 'D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)', 'ACCOUNT = "LocalSystem"')
INSERT INTO `MsiLockPermissionsEx` (`MsiLockPermissionsEx`, `LockObject`, `Table`, `SDDLText`, `Condition`) VALUES ('StateRightsLess', 'STATEDIR', 'CreateFolder', 'D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;LS)', 'ACCOUNT <> "LocalSystem"')

-- What to enrol with is left for the first start, which tries until it succeeds: an installation needs no network. 11346:
-- the installed program (18), with the installer's rights (1024 + 2048), its words kept out of the log (8192). Its failure
-- is none of the installation (64): a machine that is enrolled already stays what it is.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('LeaveEnrolment', 11346, 'AgentExe', 'enrol --later --state "[STATEDIR]." --collector "[COLLECTOR]" --token "[TOKEN]"{ --name "[NAME]"}{ --class [CLASS]}')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('LeaveEnrolment', 'COLLECTOR AND TOKEN AND NOT REMOVE', 5700)

-- A service that died is started again half a minute later (1: restart), every time, and the count forgotten after a day.
CREATE TABLE `MsiServiceConfigFailureActions` (`MsiServiceConfigFailureActions` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL, `Event` INT NOT NULL, `ResetPeriod` LONG, `RebootMessage` CHAR(255) LOCALIZABLE, `Command` CHAR(255) LOCALIZABLE, `Actions` CHAR(0), `DelayActions` CHAR(0), `Component_` CHAR(72) NOT NULL PRIMARY KEY `MsiServiceConfigFailureActions`)
INSERT INTO `MsiServiceConfigFailureActions` (`MsiServiceConfigFailureActions`, `Name`, `Event`, `ResetPeriod`, `Actions`, `DelayActions`, `Component_`) VALUES ('Failure', 'BellwetherAgent', 1, 86400, '1[~]1[~]1', '30000[~]30000[~]30000', 'Program')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('MsiConfigureServices', 'VersionMsi >= "5.00"', 5850)
