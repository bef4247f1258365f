# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_asyncamanda_global_optspecs
    string join \n config= json v/verbose i/interval= a/amandates= state= destination= h/host= k/key= c/command= help V/version
end

function __fish_asyncamanda_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_asyncamanda_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_asyncamanda_using_subcommand
    set -l cmd (__fish_asyncamanda_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -l config -d 'Read this configuration file' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -s i -l interval -d 'Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"' -r
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -s a -l amandates -d 'Take dates of backups that have no receipt from this file of Amanda\'s client' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -l state -d 'Keep receipts in this directory' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -l destination -d 'Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`' -r
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -s h -l host -d 'Run the command on this server: `[user@]host[:port]`' -r
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -s k -l key -d 'Log in with this private key' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -s c -l command -d 'Run this command there when a backup is due' -r
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -l json -d 'Print JSON on standard output, for programs'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -s v -l verbose -d 'Say more on standard error'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -l help -d 'Print help'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -s V -l version -d 'Print version'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -f -a "run" -d 'Back up if a backup is due; for schedulers: silent when there is nothing to tell'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -f -a "now" -d 'Back up now and show how it goes'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -f -a "status" -d 'Show what this laptop has receipts for'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -f -a "why" -d 'Explain whether a backup is due, since when and what would happen'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -f -a "check" -d 'Try everything up to the backup itself, and do nothing else'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -f -a "ls" -d 'List the dumps of each disk, or what was in a directory'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -f -a "restore" -d 'Get files and directories back; those that are there are kept'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -f -a "recover" -d 'Find and get files back in a shell with amrecover\'s commands; standard input may be a script'
complete -c asyncamanda -n "__fish_asyncamanda_needs_command" -f -a "show-config" -d 'Print each setting and where it came from'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand run" -l config -d 'Read this configuration file' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand run" -s i -l interval -d 'Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand run" -s a -l amandates -d 'Take dates of backups that have no receipt from this file of Amanda\'s client' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand run" -l state -d 'Keep receipts in this directory' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand run" -l destination -d 'Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand run" -l json -d 'Print JSON on standard output, for programs'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand run" -s v -l verbose -d 'Say more on standard error'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand run" -l help -d 'Print help'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand now" -l to -d 'Back up into this directory, a vault; the first time makes it' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand now" -l config -d 'Read this configuration file' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand now" -s i -l interval -d 'Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand now" -s a -l amandates -d 'Take dates of backups that have no receipt from this file of Amanda\'s client' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand now" -l state -d 'Keep receipts in this directory' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand now" -l destination -d 'Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand now" -l json -d 'Print JSON on standard output, for programs'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand now" -s v -l verbose -d 'Say more on standard error'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand now" -l help -d 'Print help'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand status" -l config -d 'Read this configuration file' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand status" -s i -l interval -d 'Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand status" -s a -l amandates -d 'Take dates of backups that have no receipt from this file of Amanda\'s client' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand status" -l state -d 'Keep receipts in this directory' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand status" -l destination -d 'Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand status" -l json -d 'Print JSON on standard output, for programs'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand status" -s v -l verbose -d 'Say more on standard error'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand status" -l help -d 'Print help'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand why" -l config -d 'Read this configuration file' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand why" -s i -l interval -d 'Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand why" -s a -l amandates -d 'Take dates of backups that have no receipt from this file of Amanda\'s client' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand why" -l state -d 'Keep receipts in this directory' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand why" -l destination -d 'Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand why" -l json -d 'Print JSON on standard output, for programs'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand why" -s v -l verbose -d 'Say more on standard error'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand why" -l help -d 'Print help'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand check" -l config -d 'Read this configuration file' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand check" -s i -l interval -d 'Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand check" -s a -l amandates -d 'Take dates of backups that have no receipt from this file of Amanda\'s client' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand check" -l state -d 'Keep receipts in this directory' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand check" -l destination -d 'Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand check" -l json -d 'Print JSON on standard output, for programs'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand check" -s v -l verbose -d 'Say more on standard error'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand check" -l help -d 'Print help'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -l at -d 'As it was then: 2026-11-20 (the end of that day), "2026-11-20 14:00", yesterday, "3 days ago", or a datestamp' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -l from -d 'Look into this directory, a vault' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -l host -d 'Look for the dumps of this host; on a server the operator must have allowed it' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -l config -d 'Read this configuration file' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -s i -l interval -d 'Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -s a -l amandates -d 'Take dates of backups that have no receipt from this file of Amanda\'s client' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -l state -d 'Keep receipts in this directory' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -l destination -d 'Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -l json -d 'Print JSON on standard output, for programs'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -s v -l verbose -d 'Say more on standard error'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand ls" -l help -d 'Print help'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -l to -d 'Write below this directory, and not where they came from' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -l at -d 'As it was then: 2026-11-20 (the end of that day), "2026-11-20 14:00", yesterday, "3 days ago", or a datestamp' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -l from -d 'Look into this directory, a vault' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -l host -d 'Look for the dumps of this host; on a server the operator must have allowed it' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -l config -d 'Read this configuration file' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -s i -l interval -d 'Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -s a -l amandates -d 'Take dates of backups that have no receipt from this file of Amanda\'s client' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -l state -d 'Keep receipts in this directory' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -l destination -d 'Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -l overwrite -d 'Replace files that are there'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -l json -d 'Print JSON on standard output, for programs'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -s v -l verbose -d 'Say more on standard error'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand restore" -l help -d 'Print help'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -l at -d 'As it was then: 2026-11-20 (the end of that day), "2026-11-20 14:00", yesterday, "3 days ago", or a datestamp' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -l from -d 'Look into this directory, a vault' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -l host -d 'Look for the dumps of this host; on a server the operator must have allowed it' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -l config -d 'Read this configuration file' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -s i -l interval -d 'Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -s a -l amandates -d 'Take dates of backups that have no receipt from this file of Amanda\'s client' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -l state -d 'Keep receipts in this directory' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -l destination -d 'Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -l overwrite -d 'Let extract replace files that are there'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -l json -d 'Print JSON on standard output, for programs'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -s v -l verbose -d 'Say more on standard error'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand recover" -l help -d 'Print help'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand show-config" -l config -d 'Read this configuration file' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand show-config" -s i -l interval -d 'Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand show-config" -s a -l amandates -d 'Take dates of backups that have no receipt from this file of Amanda\'s client' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand show-config" -l state -d 'Keep receipts in this directory' -r -F
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand show-config" -l destination -d 'Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`' -r
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand show-config" -l json -d 'Print JSON on standard output, for programs'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand show-config" -s v -l verbose -d 'Say more on standard error'
complete -c asyncamanda -n "__fish_asyncamanda_using_subcommand show-config" -l help -d 'Print help'
