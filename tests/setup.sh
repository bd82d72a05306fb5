# SPDX-License-Identifier: ISC
# shellcheck shell=sh
#
# What building, testing and the demo need.  Sourced by tests/run.sh,
# examples/demo.sh and .ci/run with the top of the tree as working directory:
#
#     . tests/setup.sh
#     setup_tools build test || exit 1
#     setup_mbedtls || exit 1
#     setup_lwip
#
# Missing packages are installed on Debian and named on other systems.  If nothing
# is missing, nothing is changed and the network is not used.

SETUP_MBEDTLS_OLDEST=3.6.7
SETUP_MBEDTLS4_OLDEST=4.1.1

# One tool per line: the group that needs it, how to detect it (cmd: a program,
# pc: a pkg-config module, file: a path), and its package for apt, dnf, apk,
# pacman and brew ("-" if it comes with the system).  A package that ends in "?"
# is optional: without it the tests that need it are skipped.
setup_table() {
    cat <<'TABLE'
build cmd:cc         gcc,libc6-dev   gcc             build-base      gcc         -
build cmd:meson      meson           meson           meson           meson       meson
build cmd:ninja      ninja-build     ninja-build     samurai         ninja       ninja
build cmd:pkg-config pkg-config      pkgconf         pkgconf         pkgconf     pkgconf
build file:/usr/include/intel-ipsec-mb.h libipsec-mb-dev? - -           -           -
build pc:libcrypto   libssl-dev?     openssl-devel   openssl-dev     openssl     openssl
test  pc:cmocka      libcmocka-dev   libcmocka-devel cmocka-dev      cmocka      cmocka
test  pc:libuv       libuv1-dev      libuv-devel     libuv-dev       libuv       libuv
build pc:jansson     libjansson-dev? jansson-devel  jansson-dev     jansson     jansson
test  pc:libcrypto   libssl-dev      openssl-devel   openssl-dev     openssl     openssl
test  cmd:c++        g++             gcc-c++         build-base      gcc         -
test  cmd:make       make            make            build-base      make        -
test  cmd:git        git             git             git             git         git
test  cmd:openssl    openssl         openssl         openssl         openssl     openssl
test  cmd:gnutls-cli gnutls-bin      gnutls-utils    gnutls-utils    gnutls      gnutls
test  cmd:curl       curl            curl            curl            curl        curl
test  cmd:doxygen    doxygen         doxygen         doxygen         doxygen     doxygen
test  cmd:clang-format-14 clang-format-14? -     -               -           -
test  file:/usr/include/libxenvchan.h libxen-dev? - -               -           -
test  cmd:qemu-system-x86_64 qemu-system-x86? - -             -           -
test  cmd:musl-gcc   musl-tools?     -               -               -           -
test  cmd:zstd       zstd?           -               -               -           -
test  file:/etc/ssl/certs/ca-certificates.crt ca-certificates - ca-certificates - -
bench pc:gnutls      libgnutls28-dev gnutls-devel   gnutls-dev      gnutls      gnutls
demo  cmd:openssl    openssl         openssl         openssl         openssl     openssl
demo  cmd:curl       curl            curl            curl            curl        curl
unikernel cmd:qemu-system-x86_64 qemu-system-x86? - -        -           -
unikernel cmd:musl-gcc musl-tools? -           -               -           -
unikernel file:/usr/include/xen/xen.h libxen-dev? - -          -           -
ci    cmd:clang      clang           clang           clang           clang       -
ci    cmd:valgrind   valgrind        valgrind        valgrind        valgrind    -
ci    cmd:tshark     tshark?         -               -               -           -
ci    file:/usr/sbin/exim4 exim4-daemon-light? - -     -           -
ci    cmd:dovecot    dovecot-imapd?  -               -               -           -
ci    file:/usr/lib/postgresql postgresql? - -         -           -
ci    cmd:ccache     ccache          ccache          ccache          ccache      ccache
TABLE
}

setup_say() {
    printf '==> %s\n' "$*"
}

# setup_step TEXT COMMAND...: run a command that may take long.  Prints a dot every
# five seconds and, if the command fails, the end of its output.
setup_step() {
    setup_text=$1
    shift
    setup_log=$(mktemp) || return 1
    printf '==> %s ' "$setup_text"
    "$@" >"$setup_log" 2>&1 &
    setup_pid=$!
    setup_ticks=0
    while kill -0 "$setup_pid" 2>/dev/null; do
        sleep 1
        setup_ticks=$((setup_ticks + 1))
        [ $((setup_ticks % 5)) -ne 0 ] || printf '.'
    done
    if wait "$setup_pid"; then
        echo ' done'
        rm -f "$setup_log"
        return 0
    fi
    echo ' failed'
    tail -n 30 "$setup_log" >&2
    rm -f "$setup_log"
    return 1
}

setup_has() {
    case $1 in
    cmd:*) command -v "${1#cmd:}" >/dev/null 2>&1 ;;
    pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
    file:*) [ -e "${1#file:}" ] ;;
    esac
}

# setup_missing COLUMN GROUP...: print the packages to install.
setup_missing() {
    setup_column=$1
    shift
    for setup_group; do
        setup_table | while read -r group probe apt dnf apk pacman brew; do
            [ "$group" = "$setup_group" ] || continue
            setup_has "$probe" && continue
            case $setup_column in
            apt) package=$apt ;;
            dnf) package=$dnf ;;
            apk) package=$apk ;;
            pacman) package=$pacman ;;
            brew) package=$brew ;;
            none) package=${probe#*:} ;;
            esac
            [ "$package" = - ] || echo "$package" | tr ',' '\n'
        done
    done | sort -u
}

setup_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo 'installing packages needs root: run this as root once, or install sudo' >&2
        return 1
    fi
}

# setup_apt PACKAGE...
setup_apt() {
    setup_must=
    setup_may=
    for setup_package; do
        case $setup_package in
        *\?) setup_may="$setup_may ${setup_package%?}" ;;
        *) setup_must="$setup_must $setup_package" ;;
        esac
    done
    if [ -z "$setup_must" ]; then
        # shellcheck disable=SC2086 # lists of words
        setup_known=$(setup_apt_known $setup_may)
        # shellcheck disable=SC2086
        [ -z "$setup_known" ] || setup_apt_install $setup_known ||
            setup_say 'continuing without them'
        return 0
    fi
    setup_as_root true || return 1
    setup_step 'apt-get update' setup_as_root apt-get -q update || return 1
    # shellcheck disable=SC2086,SC2046
    setup_apt_install $setup_must $(setup_apt_known $setup_may)
}

# setup_apt_known PACKAGE...: print those that apt can install.
setup_apt_known() {
    for setup_package; do
        apt-cache policy "$setup_package" 2>/dev/null |
            grep -q '^  Candidate: [0-9]' && echo "$setup_package"
    done
}

setup_apt_install() {
    setup_say "installing from Debian: $*"
    # Outside the step, so that a prompt for a password is visible.
    setup_as_root true || return 1
    setup_step 'apt-get install' setup_as_root env \
        DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        --no-install-recommends install "$@"
}

# setup_tools GROUP...: make sure that the tools of these groups are installed.
setup_tools() {
    setup_by=none
    setup_how='install'
    for setup_try in apt:apt-get dnf:dnf apk:apk pacman:pacman brew:brew; do
        command -v "${setup_try#*:}" >/dev/null 2>&1 || continue
        setup_by=${setup_try%%:*}
        break
    done
    case $setup_by in
    dnf) setup_how='dnf install' ;;
    apk) setup_how='apk add' ;;
    pacman) setup_how='pacman -S' ;;
    brew) setup_how='brew install' ;;
    esac

    setup_list=$(setup_missing "$setup_by" "$@" | tr '\n' ' ')
    [ -n "$setup_list" ] || return 0
    if [ "$setup_by" = apt ]; then
        # shellcheck disable=SC2086 # a list of words
        setup_apt $setup_list
        return
    fi
    setup_say "please install the missing packages: $setup_how $setup_list" >&2
    return 1
}

# The source of mbedTLS where libcrypto is there, with which the build makes fast
# handshakes.  Otherwise, or if no source is within reach, the system's mbedTLS if
# it is recent enough, then the source, which the build compiles.
setup_mbedtls() {
    setup_has pc:libcrypto && setup_mbedtls_source && return 0
    setup_mbedtls_system || setup_mbedtls_apt || setup_mbedtls_source
}

setup_mbedtls_system() {
    pkg-config --exists "mbedtls >= $SETUP_MBEDTLS_OLDEST" 'mbedtls < 4' \
        2>/dev/null ||
        pkg-config --exists "mbedtls >= $SETUP_MBEDTLS4_OLDEST" \
            'mbedtls < 5' 2>/dev/null
}

setup_mbedtls_source() {
    python3 tests/fetch_mbedtls.py
}

# The source of lwIP, without which the build leaves that backend out.
setup_lwip() {
    python3 tests/fetch_lwip.py || setup_say 'continuing without lwIP'
}

# Debian's mbedTLS, if the version that apt would install is recent enough.
setup_mbedtls_apt() {
    command -v apt-cache >/dev/null 2>&1 || return 1
    setup_candidate=$(apt-cache policy libmbedtls-dev 2>/dev/null |
        sed -n 's/^  Candidate: //p')
    case $setup_candidate in
    3.*) setup_oldest=$SETUP_MBEDTLS_OLDEST ;;
    4.*) setup_oldest=$SETUP_MBEDTLS4_OLDEST ;;
    *) return 1 ;;
    esac
    dpkg --compare-versions "$setup_candidate" ge "$setup_oldest" || return 1
    setup_apt libmbedtls-dev
}
