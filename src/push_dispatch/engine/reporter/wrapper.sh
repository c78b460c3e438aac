# Runs a command and reports on it, where there is no python3: POSIX sh with curl or wget.
# sh -c CODE push-dispatch COMMAND...; see docs/guides/reporter.md for the exit codes.
url=$PUSH_DISPATCH_REPORT_URL token=$PUSH_DISPATCH_REPORT_TOKEN beat=${PUSH_DISPATCH_REPORT_SECONDS:-20}
patience=${PUSH_DISPATCH_REPORT_PATIENCE:-60} grace=${PUSH_DISPATCH_REPORT_GRACE:-30}
unset PUSH_DISPATCH_REPORT_URL PUSH_DISPATCH_REPORT_TOKEN PUSH_DISPATCH_REPORT_SECONDS
leave() { echo "push-dispatch reporter: $2" >&2; exit "$1"; }
case $url in
  https://*|http://127.0.0.1[:/]*|http://localhost[:/]*) ;;
  *) leave 78 "'$url' must be https" ;;
esac
me=$$-$(cat /proc/sys/kernel/random/uuid 2>/dev/null || date +%s%N)
file=${TMPDIR:-/tmp}/$me
# When a process began: tells it from another one that has got its number since.
born() { cut -d ' ' -f 22 "/proc/$1/stat" 2>/dev/null; }
b=$(born $$)
post() {
  body="{\"run\":\"$PUSH_DISPATCH_RUN_ID\",\"attempt\":${PUSH_DISPATCH_ATTEMPT:-1},\"what\":\"$1\",\"by\":\"$me\"$2"
  if command -v curl >/dev/null 2>&1; then
    printf 'header = "Authorization: Bearer %s"\n' "$token" |
      curl -sS -m 10 -K - -H 'Content-Type: application/json' -d "$body}" -w ' %{http_code}' "$url" 2>/dev/null
  elif case $(wget --help 2>&1) in *post-file*) ;; *) false ;; esac && (umask 077; set -C; printf '%s,"token":"%s"}' "$body" "$token" >"$file") 2>/dev/null; then
    # In the body, because everybody on the machine can read what is on a command line.
    wget -q -T 10 -O - --post-file "$file" "$url" 2>/dev/null && printf ' 200'
    rm -f "$file"
  else
    wget -q -T 10 -O - --header "Authorization: Bearer $token" --post-data "$body}" "$url" 2>/dev/null && printf ' 200'
  fi
}
insist() {
  waited=0
  while :; do
    answer=$(post "$@")
    case $answer in *" 200") return 0 ;; *" 429") ;; *" 4"??) leave 77 "refused: $answer" ;; esac
    [ "$waited" -ge "$patience" ] && return 1
    sleep 1; waited=$((waited + 1))
  done
}
child= asked= woken=
# Only this shell signals the child, and only while it has not waited for it: until then nobody
# else can have its number.
stop() { asked=1 woken=1; [ -n "$child" ] && kill "-$1" "$child" 2>/dev/null; }
trap 'stop TERM' TERM INT USR1
trap 'stop KILL' USR2
insist claim || leave 75 "no answer: the command was not run"
case $answer in *'"go":true'*|*'"go": true'*) ;; *) leave 76 "another copy took the attempt, or it is over: the command was not run" ;; esac
code=143
# Beats for as long as this very shell lives; in short naps, because a nap outlives whoever is killed.
up() { kill -0 $$ 2>/dev/null && [ "$(born $$)" = "$b" ]; }
nap() {
  left=${1%.*}
  [ "$left" = "$1" ] || sleep "$1"
  while [ "${left:-0}" -gt 0 ]; do sleep 1; kill -0 $$ || return; left=$((left - 1)); done
  up
}
beats() {
  trap - TERM INT USR1 USR2
  while nap "$beat"; do
    case $(post beat) in *'"stop":true'*|*'"stop": true'*) up && kill -USR1 $$ && nap "$grace" && kill -USR2 $$ ;; esac
  done
}
if [ -z "$asked" ]; then
  "$@" <&0 &
  child=$!
  beats >/dev/null 2>&1 &
  beater=$!
  # A signal ends `wait`, too: then again. 127 says that the end was known before.
  woken=
  wait "$child"; code=$?
  while [ -n "$woken" ]; do woken=; wait "$child"; c=$?; [ "$c" = 127 ] || code=$c; done
  child=
  trap '' USR1 USR2
  # Not TERM: a shell that has just forked may throw it away with the traps that it forgets.
  kill -KILL "$beater"
  wait "$beater" 2>/dev/null
fi
insist end ",\"exit_code\":$code"
exit "$code"
