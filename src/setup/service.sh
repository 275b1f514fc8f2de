#!/bin/sh
@RECORDED@
# Starts, stops and looks at the gateway where there is no systemd. Usage: @NAME@-service start|stop|restart|reload|status
set -eu

for program in setpriv flock setsid install mkfifo; do
    command -v "$program" >/dev/null || { echo "@NAME@-service: $program is missing; it is in util-linux or coreutils" >&2; exit 64; }
done

gateway_user="setpriv --reuid @NAME@ --regid @NAME@ --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
as_gateway() { $gateway_user "$@"; }

# The gateway holds this lock for its life.
running() {
    [ -f @HOME@/gateway.lock ] || return 1
    held=0
    as_gateway flock --nonblock --conflict-exit-code 75 @HOME@/gateway.lock true 2>/dev/null || held=$?
    case $held in
        0) return 1 ;;
        75) return 0 ;;
        *) echo '@NAME@: its user cannot read @HOME@; `@PROGRAM@ setup --user @NAME@ --check` tells more' >&2; exit 64 ;;
    esac
}

environment() {
    export OPSGATE_HOME=@HOME@ OPSGATE_POLICY=@POLICY@ OPSGATE_SOCKET=@SOCKET@
    [ -z "@LISTEN@" ] || export OPSGATE_LISTEN=@LISTEN@
    [ -f @ENVIRONMENT@ ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            '' | '#'* | ';'*) ;;
            *=*)
                case ${line%%=*} in
                    '' | [0-9]* | *[!A-Za-z0-9_]*) echo "@NAME@: a line of @ENVIRONMENT@ is not NAME=value" >&2; exit 64 ;;
                    @NAMES@) export "${line%%=*}=${line#*=}" ;;
                    *) echo "@NAME@: @ENVIRONMENT@ sets ${line%%=*}, which the gateway does not take from there" >&2; exit 64 ;;
                esac ;;
            *) echo "@NAME@: a line of @ENVIRONMENT@ is not NAME=value" >&2; exit 64 ;;
        esac
    done <@ENVIRONMENT@
}

start() {
    if running; then echo "@NAME@ runs already"; return; fi
    # Root's, so that nothing which runs as the gateway's user opens it to others.
    install -d -o root -g @NAME@ -m 0775 @RUN@
    environment
    # The gateway says on its standard output, in one line, whether it started.
    said=$(mktemp -d)
    trap 'rm -rf "$said"' EXIT
    mkfifo "$said/pipe"
    cd /
    # Nothing of this shell's is left open in it: whoever waits for this script's output does not wait for the gateway.
    # shellcheck disable=SC2016
    (exec $gateway_user setsid sh -c 'umask 077; exec "$@" --announce 2>>@HOME@/gateway.log </dev/null' \
        sh @PROGRAM@ @SERVE@) </dev/null >"$said/pipe" 2>&1 &
    IFS= read -r answer <"$said/pipe" || answer='{"error":"it ended without a word","exit":64}'
    case $answer in
        *'"exit":0'*) echo "@NAME@ runs" ;;
        *)
            echo "@NAME@ does not start: $answer" >&2
            case $answer in
                *'"exit":'[0-9]*) answer=${answer##*'"exit":'}; exit "${answer%%[!0-9]*}" ;;
                *) exit 64 ;;
            esac ;;
    esac
}

stop() {
    running || { echo "@NAME@ does not run"; return; }
    pid=$(head -c 10 @HOME@/gateway.lock | tr -dc 0-9)
    # As the gateway's user: a number that is another's process is not signalled.
    as_gateway kill -TERM "$pid"
    as_gateway flock --timeout 30 @HOME@/gateway.lock true || { echo "@NAME@ does not stop" >&2; exit 1; }
    echo "@NAME@ is stopped"
}

# The policy is read again at once.
reload() {
    running || { echo "@NAME@ does not run"; exit 3; }
    pid=$(head -c 10 @HOME@/gateway.lock | tr -dc 0-9)
    as_gateway kill -HUP "$pid"
}

[ "$(id -u)" = 0 ] || { echo "@NAME@-service: run it as root" >&2; exit 64; }
# What the caller's environment holds is not the gateway's: once more, with nothing.
if [ "${2:-}" != clean ]; then exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$0" "${1:-}" clean; fi

case $1 in
    start) start ;;
    stop) stop ;;
    restart) stop; start ;;
    reload) reload ;;
    status) if running; then echo "@NAME@ runs"; else echo "@NAME@ does not run"; exit 3; fi ;;
    *) echo "usage: @NAME@-service start|stop|restart|reload|status" >&2; exit 2 ;;
esac
