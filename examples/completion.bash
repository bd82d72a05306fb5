# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# Completion for flow-cat, flow-echo, flow-fetch, flow-proxy, flow-site, flow-sni
# and flow-verify.
# bash-completion loads this file under the name of each.

_flow_options()
{
    local own='--client-cert --client-key --passphrase-file'
    local tls="--ca --server-name --insecure-skip-verify $own"
    local server='--listen --cert --key --idle-timeout --log'
    server="$server --require-client-cert --request-client-cert"
    local common='-h --help --version'
    local tls_log='--keylog'

    case $1 in
    flow-cat)
        echo "$tls --alpn --tls1.2 --tls1.3 --show --timeout --idle-timeout" \
            "$tls_log --starttls $common"
        ;;
    flow-echo) echo "$server --passphrase-file $tls_log $common" ;;
    flow-fetch)
        echo "-o --output --ca --connect --alpn --tls1.2 --tls1.3 --timeout" \
            "--show --session-file --insecure-skip-verify $own -q --quiet -v --verbose" \
            "$tls_log $common"
        ;;
    flow-proxy)
        echo "$server --certs $tls --to --max-connections --connect-timeout $tls_log --starttls $common"
        ;;
    flow-site)
        echo "$server --certs --serve --default --redirect --workers --max-connections" \
            "--handshake-timeout --passphrase-file $tls_log $common"
        ;;
    flow-sni)
        echo "explain --cert --key --certs --passphrase-file --alpn --sigalgs" \
            "--tls1.2 --tls1.3 --json $common"
        ;;
    flow-verify)
        echo "--ca --name --client --at --crl --require-crl --pin --min-rsa" \
            "--min-ec --min-hash --json $common"
        ;;
    esac
}

# _flow_schemes PROGRAM: the schemes that an endpoint may begin with, from --help.
_flow_schemes()
{
    "$1" --help 2>/dev/null |
        sed -n 's|^  \([a-z+]*:/*\).*|\1|p;s|^  \(tls+\)SCHEME.*|\1tcp://|p'
}

_flow_programs()
{
    local program=${1##*/} word=${COMP_WORDS[COMP_CWORD]}
    local before=${COMP_WORDS[COMP_CWORD - 1]}

    case $before in
    --ca | --cert | --client-cert | --client-key | --crl | --key | --keylog | \
        --output | --passphrase-file | --request-client-cert | \
        --require-client-cert | --session-file | -o)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames 2>/dev/null
        return
        ;;
    --starttls)
        mapfile -t COMPREPLY < <(compgen -W "smtp imap postgres" -- "$word")
        return
        ;;
    --certs)
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        compopt -o filenames 2>/dev/null
        return
        ;;
    --listen | --to)
        # flow-site takes an address, which is not completed.
        [ "$program" = flow-site ] ||
            mapfile -t COMPREPLY < <(
                compgen -W "$(_flow_schemes "$1")" -- "$word")
        compopt -o nospace 2>/dev/null
        return
        ;;
    --alpn | --at | --connect | --default | --min-* | --name | --pin | \
        --redirect | --serve | --server-name | --sigalgs | --*-timeout | \
        --timeout | --max-connections | --workers)
        return
        ;;
    esac
    case $word in
    -*)
        mapfile -t COMPREPLY < <(
            compgen -W "$(_flow_options "$program")" -- "$word")
        ;;
    *)
        if [ "$program" = flow-verify ]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            compopt -o filenames 2>/dev/null
            return
        fi
        [ "$program" != flow-cat ] ||
            mapfile -t COMPREPLY < <(
                compgen -W "$(_flow_schemes "$1")" -- "$word")
        compopt -o nospace 2>/dev/null
        ;;
    esac
}

complete -F _flow_programs flow-cat flow-echo flow-fetch flow-proxy flow-site \
    flow-sni flow-verify
