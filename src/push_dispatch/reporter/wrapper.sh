# Runs a command and reports on it, where there is no python3: POSIX sh with curl or wget.
# sh -c CODE push-dispatch COMMAND...; see docs/reporter.md for the exit codes.
url=$PUSH_DISPATCH_REPORT_URL token=$PUSH_DISPATCH_REPORT_TOKEN beat=${PUSH_DISPATCH_REPORT_SECONDS:-20}
patience=${PUSH_DISPATCH_REPORT_PATIENCE:-60} grace=${PUSH_DISPATCH_REPORT_GRACE:-30}
unset PUSH_DISPATCH_REPORT_URL PUSH_DISPATCH_REPORT_TOKEN PUSH_DISPATCH_REPORT_SECONDS
leave() { echo "push-dispatch reporter: $2" >&2; exit "$1"; }
case $url in
  https://*|http://127.0.0.1[:/]*|http://localhost[:/]*) ;;
  *) leave 78 "'$url' must be https" ;;
esac
me=$$-$(cat /proc/sys/kernel/random/uuid 2>/dev/null || date +%s%N)
post() {
  body="{\"run\":\"$PUSH_DISPATCH_RUN_ID\",\"attempt\":${PUSH_DISPATCH_ATTEMPT:-1},\"what\":\"$1\",\"by\":\"$me\"$2}"
  if command -v curl >/dev/null 2>&1; then
    printf 'header = "Authorization: Bearer %s"\n' "$token" |
      curl -sS -m 10 -K - -H 'Content-Type: application/json' -d "$body" -w ' %{http_code}' "$url" 2>/dev/null
  else
    wget -q -T 10 -O - --header "Authorization: Bearer $token" --header 'Content-Type: application/json' \
      --post-data "$body" "$url" 2>/dev/null && printf ' 200'
  fi
}
insist() {
  waited=0
  while :; do
    answer=$(post "$@")
    case $answer in *" 200") return 0 ;; *" 429") ;; *" 4"[0-9][0-9]) leave 77 "refused: $answer" ;; esac
    [ "$waited" -ge "$patience" ] && return 1
    sleep 1; waited=$((waited + 1))
  done
}
child= asked=
stop() { asked=1; [ -n "$child" ] && kill -TERM "$child" 2>/dev/null; }
trap stop TERM INT
insist claim || leave 75 "nobody answers, so the command was not run"
case $answer in *'"go":true'*|*'"go": true'*) ;; *) leave 76 "this attempt was taken by another copy, or is over: the command was not run" ;; esac
code=143
if [ -z "$asked" ]; then
  "$@" <&0 &
  child=$!
  ( while sleep "$beat"; do
      case $(post beat) in *'"stop":true'*|*'"stop": true'*)
        kill -TERM "$child" 2>/dev/null; sleep "$grace"; kill -KILL "$child" 2>/dev/null ;; esac
    done ) >/dev/null 2>&1 &
  beater=$!
  wait "$child"; code=$?
  while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
  kill "$beater" 2>/dev/null
fi
insist end ",\"exit_code\":$code"
exit "$code"
