# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_asyncamanda_shim_global_optspecs
    string join \n config= h/help V/version
end

function __fish_asyncamanda_shim_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_asyncamanda_shim_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_asyncamanda_shim_using_subcommand
    set -l cmd (__fish_asyncamanda_shim_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -s V -l version -d 'Print version'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "serve" -d 'Serve one laptop: the forced command of its key'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "status" -d 'Show what runs, who waits and who holds which lock'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "run" -d 'Run a config as amdump does, in turn with the laptops: for the nightly cron line'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "flush" -d 'Write what lies on the holding disks to the config\'s tapes'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "check" -d 'Find what would make a backup fail or wait, and how to mend it'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "report" -d 'Tell what a run did: in plain words, then with every figure, as amreport does'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "find" -d 'List where the dumps are, as `amadmin CONFIG find` does'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "tape" -d 'Show which volume the next run wants, what is in the slots, and when each may be overwritten'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "label" -d 'Give the volume in a slot a label, so that runs may write to it'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "history" -d 'Show what is remembered of disks: levels, sizes, dates, rates'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "vault" -d 'Make a config with volumes for engine = "embedded", or add disks to one'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "verify" -d 'Read dumps back and compare them with what was stored and what was dumped'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "reindex" -d 'Make the catalog of a config that has lost it: index, logs, tapelist and history, from its volumes alone'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "restore" -d 'Get files out of dumps that no catalog knows: as they lie on volumes, on a holding disk or anywhere'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "adopt" -d 'Hand a vault to the installed Amanda, whose config it then is'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "runner" -d 'Start runs for the tickets that wait: the door\'s other side'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_needs_command" -f -a "tunnel" -d 'Answer ssh\'s questions: for ssh_config on this server'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand serve" -l host -d 'The host that this key stands for, as in the disklist' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand serve" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand status" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand status" -l json -d 'Print JSON'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand status" -l watch -d 'Look again every two seconds'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand status" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand run" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand run" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand flush" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand flush" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand check" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand check" -l json -d 'Print JSON'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand check" -s m -l mail -d 'Mail what must be mended to whom the configs name (mailto); when that is nothing, no mail is sent'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand check" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand report" -l log -d 'The run of this log; the newest one when neither this nor --date is given' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand report" -l date -d 'The run of this datestamp: 20261122023901, or its beginning' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand report" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand report" -l plain -d 'Print the plain words only: what went wrong comes first, with what it means and what to do'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand report" -l json -d 'Print JSON'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand report" -s m -l mail -d 'Mail it to whom amanda.conf names (mailto), after such a run as it names (send-amreport-on)'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand find" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand find" -l json -d 'Print JSON'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand find" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tape" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tape" -l json -d 'Print JSON'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tape" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand label" -l slot -d 'The slot; the one where the changer stands when none is named' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand label" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand label" -l force -d 'Overwrite what is on the volume'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand label" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand history" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand history" -l json -d 'Print JSON'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand history" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand vault" -l disk -d 'A disk to be in it, for a name that is not its directory as HOST:NAME=PATH; may be given several times' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand vault" -l dumpcycle -d 'Days within which every disk wants a full dump, in a new one' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand vault" -l retention -d 'Days for which a dump is kept, in a new one' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand vault" -l exclude -d 'A pattern of what is left out, in a new one; may be given several times' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand vault" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand vault" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand verify" -l older-than -d 'Only what was not verified for so long: "30 days"' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand verify" -l budget -d 'Not more than this at once, but one dump at least: "50 GiB"' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand verify" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand reindex" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand reindex" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand restore" -l from -d 'What has dumps: a file, a volume\'s directory, the directory of the slots, a vault, a holding disk; may be given several times' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand restore" -l disk -d 'Of this disk, when there are several' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand restore" -l at -d 'As it was then: 2026-11-20 (the end of that day), "2026-11-20 14:00", yesterday, "3 days ago", or a datestamp' -r
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand restore" -l to -d 'Write below this directory' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand restore" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand restore" -l alone -d 'Take what is in the newest dump by itself, without those it builds on'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand restore" -l overwrite -d 'Replace files that are there'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand adopt" -l state -d 'Where the agent keeps what its incremental dumps build on; found by itself when it is where it usually is' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand adopt" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand adopt" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand runner" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand runner" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tunnel; and not __fish_seen_subcommand_from knows absent" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tunnel; and not __fish_seen_subcommand_from knows absent" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tunnel; and not __fish_seen_subcommand_from knows absent" -f -a "knows" -d 'Exit with 0 if the host is reached through its own session: for `Match exec`'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tunnel; and not __fish_seen_subcommand_from knows absent" -f -a "absent" -d 'Say why the host is not there, and fail: the ProxyCommand'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tunnel; and __fish_seen_subcommand_from knows" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tunnel; and __fish_seen_subcommand_from knows" -s h -l help -d 'Print help'
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tunnel; and __fish_seen_subcommand_from absent" -l config -d 'Read this configuration' -r -F
complete -c asyncamanda-shim -n "__fish_asyncamanda_shim_using_subcommand tunnel; and __fish_seen_subcommand_from absent" -s h -l help -d 'Print help'
