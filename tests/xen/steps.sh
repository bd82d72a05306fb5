# SPDX-License-Identifier: ISC
# shellcheck shell=sh
# The steps that dom0 can run: step NAME answers 0 when it holds.  Sourced by
# the init of dom0.

# Everything has a limit of its own: a step that hangs is one that fails.
limit=${limit:-90}

# The store's tree of this domain.
own=/local/domain/0/data

# Xen's tools wait for the store and for daemons.
xl() {
    timeout "$limit" /bin/xl "$@"
}

# look_at_clock: sets $now, in seconds, without another process.
look_at_clock() {
    read -r now _ </proc/uptime
    now=${now%%.*}
}

# start_watch, and stop_watch: sets $took, the seconds since then.
start_watch() {
    look_at_clock
    since=$now
}

stop_watch() {
    look_at_clock
    took=$((now - since))
}

# await SECONDS COMMAND...: until it succeeds; 1 if it does not within that time.
await() {
    look_at_clock
    latest=$((now + $1))
    shift
    until "$@"; do
        look_at_clock
        [ "$now" -lt "$latest" ] || return 1
        usleep 200000
    done
}

# pair SERVER CLIENT [OPTION...]: both ends in dom0.
pair() {
    server=$1
    client=$2
    shift 2
    count=$((count + 1))
    timeout "$limit" xen_peer "$server" serve 0 "$own/pair$count" exchange \
        same-domain "$@" >/tmp/server 2>&1 &
    pid=$!
    # What spoils bytes is the server's alone.
    timeout "$limit" xen_peer "$client" dial 0 "$own/pair$count" exchange \
        same-domain $(echo "$*" | sed 's/corrupt//') >/tmp/client 2>&1
    one=$?
    wait "$pid"
    two=$?
    sed "s/^/  $server: /" /tmp/server
    sed "s/^/  $client: /" /tmp/client
    [ $one -eq 0 ] && [ $two -eq 0 ] && grep -q 'PEER ok' /tmp/server &&
        grep -q 'PEER ok' /tmp/client
}

# Without the option a flow to the own domain is refused.
same_domain() {
    timeout "$limit" xen_peer flow dial 0 "$own/x" exchange >/tmp/out 2>&1 &&
        return 1
    cat /tmp/out
    grep -q 'the peer is our own domain' /tmp/out
}

# held MAKER PATH: our server and its client, which is killed as soon as both
# say that they hold.
held() {
    timeout "$limit" xen_peer flow serve 0 "$2" hold same-domain \
        >/tmp/server 2>&1 &
    pid=$!
    xen_peer "$1" dial 0 "$2" hold same-domain >/tmp/client 2>&1 &
    victim=$!
    await "$limit" grep -q holds /tmp/server &&
        await "$limit" grep -q holds /tmp/client
    kill -9 $victim
    wait $pid || return 1
    cat /tmp/server
}

# Killing a process: its kernel clears a byte and sends an event.
killed() {
    held "$1" "$own/killed" || return 1
    # A second: sooner than anything that goes by the clock.
    [ "$(sed -n 's/PEER gone after \(.*\) ms/\1/p' /tmp/server)" -lt 900 ]
}

# The store holds nothing of vchans that ended, and all that others keep
# where those were.
store_is_clean() {
    xenstore-write "$own/nest/egg" kept
    held flow "$own/nest" || return 1
    xenstore-ls "$own" >/tmp/out 2>&1
    cat /tmp/out
    ! grep -q 'ring-ref\|event-channel\|killed' /tmp/out &&
        grep -q 'egg = "kept"' /tmp/out
}

# create NAME: the domain of /tmp/NAME.cfg.
create() {
    xl create -q "/tmp/$1.cfg" </dev/null >/tmp/xl 2>&1 && return 0
    cat /tmp/xl
    return 1
}

# guest NAME TYPE COMMAND: a domain that runs it, commas for blanks.  Sets $id.
guest() {
    cat >"/tmp/$1.cfg" <<CONFIG
name = "$1"
type = "$2"
kernel = "/guest/vmlinux"
ramdisk = "/guest/initrd"
cmdline = "console=hvc0 quiet run=$3"
memory = 192
vcpus = 1
on_poweroff = "destroy"
on_crash = "destroy"
CONFIG
    create "$1" || return 1
    id=$(xl domid "$1")
}

# guest_log NAME: what it wrote on its console.
guest_log() {
    tr -d '\r' <"/var/log/xen/console/guest-$1.log" 2>/dev/null
}

guest_said() {
    guest_log "$1" | grep -q "$2"
}

# guest_says NAME PATTERN: waits for it.  A TLS client's patience begins with
# its start, and a guest takes longer than that to boot.
guest_says() {
    await "$limit" guest_said "$1" "$2" && return 0
    echo "  guest: $1 did not say '$2' within $limit s"
    return 1
}

# guest_ended NAME PATTERN: waits for it; whether the log has the pattern.
guest_ended() {
    guest_says "$1" 'GUEST exit'
    guest_log "$1" | sed -n '/GUEST runs/,$p' | sed 's/^/  guest: /'
    guest_log "$1" | grep -q "$2"
}

# dom0_serves TYPE DOM0MAKER GUESTMAKER [OPTION]
dom0_serves() {
    guest "g$count" "$1" \
        "xen_peer,$3,dial,0,$own/g$count,exchange${4:+,$4}" || return 1
    timeout "$limit" xen_peer "$2" serve "$id" "$own/g$count" exchange $4 \
        >/tmp/server 2>&1
    code=$?
    sed "s/^/  $2: /" /tmp/server
    guest_ended "g$count" 'GUEST exit: 0' && [ $code -eq 0 ]
}

# guest_serves TYPE DOM0MAKER GUESTMAKER: a guest learns its own number from
# the store, so its path is written there once it is known.
guest_serves() {
    guest "g$count" "$1" "serve_own,$3" || return 1
    timeout "$limit" xen_peer "$2" dial "$id" "/local/domain/$id/data/v" \
        exchange >/tmp/client 2>&1
    code=$?
    sed "s/^/  $2: /" /tmp/client
    guest_ended "g$count" 'GUEST exit: 0' && [ $code -eq 0 ]
}

# hide and show what a program makes hypercalls by.
hide() {
    mv /dev/xen/privcmd /dev/xen/hidden && mount -t tmpfs hidden /proc/xen
}

show() {
    umount /proc/xen && mv /dev/xen/hidden /dev/xen/privcmd
}

# destroyed SECONDS [OPTION]: a domain that is destroyed sends nothing, and is
# missed within so many seconds.
destroyed() {
    guest "g$count" pv "xen_peer,flow,dial,0,$own/g$count,hold" || return 1
    [ "$2" != blind ] || hide || return 1
    timeout "$limit" xen_peer flow serve "$id" "$own/g$count" hold $2 \
        >/tmp/server 2>&1 &
    pid=$!
    await "$limit" grep -q holds /tmp/server
    [ "$2" != blind ] || show || return 1
    # By the clock it is asked after 1, 3, 7 and 15 seconds.
    [ "$2" != watch ] || sleep 8
    xl destroy "g$count"
    start_watch
    wait $pid
    code=$?
    stop_watch
    sed 's/^/  flow: /' /tmp/server
    echo "  noticed $took s after the destruction"
    [ $code -eq 0 ] && [ $took -le "$1" ]
}

# The examples: TLS to an echo in a guest, by their command lines alone.
programs_echo() {
    command=flow-echo,--listen,tls+vchan://0/echo,--log
    guest "g$count" pv "$command,--cert,/cert.pem,--key,/key.pem" || return 1
    guest_says "g$count" 'listening on /local'
    echo 'there and back' | timeout "$limit" flow-cat "tls+vchan://$id/echo" \
        --ca /cert.pem --server-name peer.example --timeout "$limit" \
        >/tmp/out 2>/tmp/err
    code=$?
    sed 's/^/  flow: /' /tmp/out /tmp/err
    guest_log "g$count" | sed -n '/GUEST runs/,$p' | sed 's/^/  guest: /'
    xl destroy "g$count"
    [ $code -eq 0 ] && grep -qx 'there and back' /tmp/out
}

# A site in a guest that has no network; here a plain proxy in front of it,
# which sees only TLS.
programs_site() {
    guest "g$count" pv 'site_behind_vchan' || return 1
    guest_says "g$count" 'listening on /local'
    flow-proxy --listen tcp://127.0.0.1:8443 --to "vchan://$id/site" \
        --connect-timeout "$limit" --log >/tmp/proxy 2>&1 &
    pid=$!
    await "$limit" grep -q listening /tmp/proxy
    timeout "$limit" flow-fetch https://peer.example:8443/ --ca /cert.pem \
        --connect 127.0.0.1:8443 --timeout "$limit" -o /tmp/page >/tmp/out 2>&1
    code=$?
    kill $pid
    sed 's/^/  flow: /' /tmp/out /tmp/proxy
    guest_log "g$count" | sed -n '/GUEST runs/,$p' | sed 's/^/  guest: /'
    xl destroy "g$count"
    [ $code -eq 0 ] && cmp /tmp/page /bin/busybox
}

# hoarder TIMES [blind]: a client that attaches so often and keeps all that it
# mapped.  It costs what it uses at once: a few sets of nine pages, and not the
# 36 MiB of a thousand.
hoarder() {
    guest "g$count" pv "xen_hoarder,dial,0,$own/g$count,$1" || return 1
    [ "$2" != blind ] || hide || return 1
    timeout $((limit * 8)) xen_hoarder serve "$id" "$own/g$count" "$1" \
        >/tmp/server 2>&1
    code=$?
    [ "$2" != blind ] || show || return 1
    sed 's/^/  flow: /' /tmp/server
    guest_log "g$count" | sed -n '/GUEST runs/,$p' | sed 's/^/  guest: /'
    xl destroy "g$count"
    [ $code -eq 0 ] || return 1
    granted=$(sed -n 's/.*: \([0-9]*\) pages granted.*/\1/p' /tmp/server)
    cost=$(sed -n 's/.* \(-*[0-9]*\) KiB less.*/\1/p' /tmp/server)
    [ "$granted" -le 2048 ] && [ "$cost" -le 12288 ]
}

# older [blind]: a server that is there before its client's domain, whose
# number it knows.
older() {
    next=$((${id:-0} + 1))
    [ "$1" != blind ] || hide || return 1
    timeout "$limit" xen_peer flow serve $next "$own/g$count" exchange \
        >/tmp/server 2>&1 &
    pid=$!
    sleep 2
    [ "$1" != blind ] || show || return 1
    guest "g$count" pv "xen_peer,flow,dial,0,$own/g$count,exchange" || return 1
    [ "$id" -eq "$next" ] || return 1
    wait $pid
    code=$?
    sed 's/^/  flow: /' /tmp/server
    guest_ended "g$count" 'GUEST exit: 0' && [ $code -eq 0 ]
}

count=0

# image KERNEL MEGABYTES WORD: boots an image of examples/unikernel.  Sets $domain.
image() {
    boots=$((boots + 1))
    domain=$1-$boots
    cat >"/tmp/$domain.cfg" <<CONFIG
name = "$domain"
type = "pvh"
kernel = "/guest/$1"
cmdline = "$3"
memory = $2
vcpus = 1
on_poweroff = "destroy"
on_crash = "destroy"
CONFIG
    create "$domain"
}

no_domain() {
    ! xl domid "$1" >/tmp/xl 2>&1
}

# image_ends PATTERN: waits until the app has ended, by this line, and its domain too.
image_ends() {
    guest_says "$domain" '^core: the app ended\|^panic: '
    guest_log "$domain" | sed 's/^/  guest: /'
    guest_said "$domain" "$1" && await "$limit" no_domain "$domain"
}

# unikernel KERNEL WORD PATTERN: boots an image of examples/unikernel, and waits
# for the line with which it ends, and for the end of its domain.
unikernel() {
    image "$1" 32 "$2" || return 1
    image_ends "$3"
}

# site_image KERNEL MEGABYTES CLIENT: boots an image of the site, which offers vchans
# to a domain.  Sets $domain and $id.
site_image() {
    image "$1" "$2" "vchan=$3/site" || return 1
    id=$(xl domid "$domain")
    guest_says "$domain" '^listening on \|^core: the app ended\|^panic: '
    guest_said "$domain" '^listening on '
}

# site_image_ends: orders the image to end; whether it does, with success.
site_image_ends() {
    xl shutdown "$domain"
    image_ends '^core: the app ended with code 0'
}

# site_arrived NAME FILE: whether the sum in a file is that of what is served.
site_arrived() {
    size=$(sed -n "s/^$1 \([0-9]*\) .*/\1/p" /site/sums)
    stop_watch
    echo "  flow: $1, $size bytes in $took s"
    grep -q "^$1 $size $(cut -d' ' -f1 "$2")\$" /site/sums
}

# site_curl NAME PORT: by HTTPS, from the program that listens there.
site_curl() {
    start_watch
    # The one of the ciphers that this machine emulates quickly.
    curl --silent --show-error --fail --noproxy '*' --cacert /site/ca.pem \
        --tls13-ciphers TLS_CHACHA20_POLY1305_SHA256 --max-time $((limit * 4)) \
        --connect-to "$1:$2:127.0.0.1:$2" "https://$1:$2/" 2>/tmp/err |
        sha256sum >/tmp/sum
    sed 's/^/  flow: /' /tmp/err
    site_arrived "$1" /tmp/sum
}

site_request() {
    printf 'GET / HTTP/1.1\r\nHost: %s\r\n\r\n' "$1"
}

# site_cat NAME: standard input and output, by TLS over vchan.
site_cat() {
    timeout $((limit * 4)) flow-cat "tls+vchan://$id/site" --ca /site/ca.pem \
        --server-name "$1" --timeout "$limit"
}

# body_sum: of what comes after the head.
body_sum() {
    end=$(printf '\r')
    while read -r line && [ "$line" != "$end" ]; do :; done
    sha256sum
}

# site_fetch NAME: the body, with its hash compared.
site_fetch() {
    start_watch
    site_request "$1" | site_cat "$1" 2>/tmp/err | body_sum >/tmp/sum
    sed 's/^/  flow: /' /tmp/err
    site_arrived "$1" /tmp/sum
}

# image_serves KERNEL: a page, and the largest file.
image_serves() {
    site_image "$1" 256 0 || return 1
    site_fetch www.flow.test && site_fetch disk.flow.test
    code=$?
    site_image_ends && [ $code -eq 0 ]
}

# A proxy in this domain, which decrypts nothing, between curl and the image.
image_proxy() {
    site_image "$1" 256 0 || return 1
    flow-proxy --listen tcp://127.0.0.1:8443 --to "vchan://$id/site" \
        --connect-timeout "$limit" --log >/tmp/proxy 2>&1 &
    pid=$!
    await "$limit" grep -q listening /tmp/proxy
    site_curl www.flow.test 8443 && site_curl disk.flow.test 8443
    code=$?
    kill $pid
    sed 's/^/  flow: /' /tmp/proxy
    site_image_ends && [ $code -eq 0 ]
}

# image_scan KERNEL: every page that the image grants, after each of some
# connections.
image_scan() {
    site_image "$1" 256 0 || return 1
    timeout $((limit * 2)) xen_scan "$id" site 8444 3 >/tmp/scan 2>&1 &
    pid=$!
    await "$limit" grep -q listens /tmp/scan
    for served in www.flow.test block.flow.test www.flow.test; do
        site_curl "$served" 8444 || kill $pid
    done
    wait $pid
    code=$?
    sed 's/^/  flow: /' /tmp/scan
    site_image_ends && [ $code -eq 0 ]
}

is_large() {
    [ "$(wc -c <"$1")" -gt 1000000 ]
}

# image_destroyed KERNEL: in the middle of a transfer; the client here learns it.
image_destroyed() {
    site_image "$1" 256 0 || return 1
    # Its input does not end.
    mkfifo "/tmp/in-$count" && exec 4<>"/tmp/in-$count" || return 1
    site_request disk.flow.test >&4
    site_cat disk.flow.test <&4 >/tmp/out 2>/tmp/err &
    pid=$!
    await "$limit" is_large /tmp/out
    xl destroy "$domain"
    start_watch
    wait $pid
    code=$?
    stop_watch
    exec 4>&-
    sed 's/^/  flow: /' /tmp/err
    echo "  noticed $took s after the destruction"
    [ $code -ne 0 ] && [ $took -le 11 ] && is_large /tmp/out
}

# client_destroyed KERNEL: the image learns that its client's domain is gone, and
# goes on.  The client reads the number of the image from its own part of the store,
# since the image is made after it.
client_destroyed() {
    guest "g$count" pv site_client || return 1
    client=$id
    site_image "$1" 256 "$client" || return 1
    xenstore-write "/local/domain/$client/data/image" "$id" || return 1
    guest_says "g$count" 'GUEST reads\|GUEST exit'
    guest_said "g$count" 'GUEST reads' || return 1
    xl destroy "g$count"
    start_watch
    guest_says "$domain" ' https'
    stop_watch
    echo "  noticed $took s after the destruction"
    site_image_ends && [ $took -le 11 ]
}

# explain: what the guests of a step that failed wrote, and ends them.
explain() {
    for guest in "g$count" ${domain:+"$domain"}; do
        [ -f "/var/log/xen/console/guest-$guest.log" ] || continue
        echo "  guest: the end of the console of $guest:"
        guest_log "$guest" | tail -n 30 | sed 's/^/  guest: /'
    done
    xl list | sed 1,2d | while read -r guest _; do
        xl destroy "$guest" </dev/null
    done
}

step() {
    count=$((count + 1))
    domain=
    case $1 in
    ours-ours) pair flow flow ;;
    ours-lib) pair flow libxenvchan ;;
    lib-ours) pair libxenvchan flow ;;
    lib-lib) pair libxenvchan libxenvchan ;;
    tls13) pair flow flow tls13 ;;
    tls12) pair flow flow tls12 ;;
    same-domain) same_domain ;;
    killed) killed flow && killed libxenvchan ;;
    store) store_is_clean ;;
    corrupt) pair flow libxenvchan corrupt ;;
    crash)
        echo 1 >/proc/sys/kernel/sysrq
        echo c >/proc/sysrq-trigger
        ;;
    pv-ours) dom0_serves pv flow flow ;;
    pv-lib) dom0_serves pv flow libxenvchan ;;
    lib-pv) dom0_serves pv libxenvchan flow ;;
    pvh-ours) dom0_serves pvh flow flow ;;
    pvh-lib) dom0_serves pvh flow libxenvchan ;;
    pv-tls13) dom0_serves pv flow flow tls13 ;;
    pvh-tls12) dom0_serves pvh flow flow tls12 ;;
    from-pv) guest_serves pv libxenvchan flow ;;
    from-pvh) guest_serves pvh flow flow ;;
    destroyed) destroyed 11 ;;
    destroyed-blind) destroyed 11 blind ;;
    destroyed-watch) destroyed 3 watch ;;
    readonly) pair flow flow readonly && pair flow libxenvchan readonly ;;
    echo) programs_echo ;;
    site) programs_site ;;
    hoarder) hoarder 1000 ;;
    hoarder-blind) hoarder 400 blind ;;
    unikernel)
        unikernel unikernel-hello 'one two' 'ended with code 0' &&
            unikernel unikernel-faults call 'ended with code 0' &&
            unikernel unikernel-faults memory 'ended with code 0'
        ;;
    unikernel-null)
        unikernel unikernel-faults null 'panic: page fault in the app: write to 0x0'
        ;;
    unikernel-overflow)
        unikernel unikernel-faults overflow 'panic: .* (a guard page of the app)'
        ;;
    unikernel-halt)
        unikernel unikernel-faults halt 'panic: general protection fault in the app'
        ;;
    image-serves) image_serves unikernel-vchan ;;
    image-proxy) image_proxy unikernel-site ;;
    image-scan) image_scan unikernel-vchan ;;
    image-destroyed) image_destroyed unikernel-vchan ;;
    client-destroyed) client_destroyed unikernel-vchan ;;
    older) older ;;
    older-blind) older blind ;;
    *) return 1 ;;
    esac
}
