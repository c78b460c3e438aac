#!/bin/sh
# Between the runtime and the user's command: $1 is the attempt's directory, the rest is the command.
# Who creates the file `claimed` executes it; no other does.
# The trap keeps the shell alive while the command is asked to stop, so that its exit code is written; a
# trap is not inherited by the command. A number is written in one call, so that its file is empty or
# whole, and empty is as good as missing: renaming would start a program for each. What the shell itself
# says is not logged.
dir=$1
shift
set -C
{ : > "$dir/claimed"; } 2> /dev/null || exit 0
set +C
trap : TERM INT HUP
{ echo $$ > "$dir/pid"; } 2> /dev/null || exit 0
exec 3>&2 2> /dev/null
if [ -e "$dir/stop" ]; then code=143; else "$@" 2>&3 3>&-; code=$?; fi
echo $code > "$dir/exit"
