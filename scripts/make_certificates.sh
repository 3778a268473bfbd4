#!/bin/sh
# Make a small certificate authority, and a certificate for each machine, for coro_sor's TLS; needs the program openssl.
set -eu

usage() {
    cat <<'TEXT'
usage: make_certificates.sh [--dir DIR] [--days N] HOST[,NAME...] ...

Makes HOST.pem and HOST.key for each HOST, and the authority ca.pem and ca.key that signs them unless DIR has one.
A certificate carries HOST, the addresses that it resolves to here, and every further NAME, which may be an address.
Nodes are found by address as well: give the address of a HOST that does not resolve here, as in host1,10.0.0.1.

  --dir DIR   where to put them (default: ~/.coro_sor/certificates); nothing there is overwritten
  --days N    how long certificates of machines are good (default: 825)
TEXT
}

fail() {
    echo "make_certificates.sh: $1" >&2
    exit 2
}

is_address() {
    case $1 in *[!0-9.]*) return 1 ;; esac
}

# The alternative names of one machine, as openssl wants them, from names and addresses separated by commas.
alternative_names() {
    names=
    for name in $(echo "$1" | tr , ' '); do
        addresses=$name
        if ! is_address "$name"; then
            names="$names,DNS:$name"
            addresses=$(getent ahostsv4 "$name" | awk '{ print $1 }' | sort -u) || addresses=
        fi
        for address in $addresses; do
            case "$names," in *,IP:"$address",*) ;; *) names="$names,IP:$address" ;; esac
        done
    done
    echo "${names#,}"
}

make_authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/ca.key" \
        -out "$work/ca.pem" -days 3650 -subj '/CN=coro_sor authority' \
        -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
        2>"$work/said" || fail "openssl: $(cat "$work/said")"
    ln "$work/ca.key" "$dir/ca.key" && ln "$work/ca.pem" "$dir/ca.pem"
    echo "authority:    $dir/ca.pem; whoever has $dir/ca.key can make more: it stays here"
}

make_certificate() {
    host=${1%%,*}
    names=$(alternative_names "$1")
    {
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/$host.key" \
            -out "$work/request" -subj "/CN=$host" &&
        printf '%s\n' "subjectAltName=$names" 'basicConstraints=critical,CA:FALSE' \
            'keyUsage=critical,digitalSignature' 'extendedKeyUsage=serverAuth,clientAuth' \
            'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' >"$work/extensions" &&
        openssl x509 -req -in "$work/request" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -out "$work/$host.pem" \
            -set_serial "0x$(openssl rand -hex 16)" -days "$days" -sha256 -extfile "$work/extensions"
    } 2>"$work/said" || fail "openssl: $(cat "$work/said")"
    ln "$work/$host.key" "$dir/$host.key" && ln "$work/$host.pem" "$dir/$host.pem"
    echo "certificate:  $dir/$host.pem for $names"
    case $names in
        *IP:*) ;;
        *) echo "              it does not resolve here: for a node give the address, as in $host,10.0.0.1" >&2 ;;
    esac
}

dir=${HOME:-.}/.coro_sor/certificates days=825
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --dir) [ $# -gt 1 ] || fail '--dir needs a folder'; dir=$2; shift 2 ;;
        --days) [ $# -gt 1 ] || fail '--days needs a number'; days=$2; shift 2 ;;
        -*) fail "unknown option $1; see --help" ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || { usage >&2; exit 2; }
command -v openssl >/dev/null || fail 'the program openssl is missing'
case $days in '' | *[!0-9]*) fail "--days $days is no number" ;; esac
for given in "$@"; do
    case $given in *[!A-Za-z0-9.,-]* | [!A-Za-z0-9]* | ca | ca,*) fail "$given is no name of a machine" ;; esac
    for file in "$dir/${given%%,*}.pem" "$dir/${given%%,*}.key"; do
        [ ! -e "$file" ] || fail "$file is there already: nothing is overwritten"
    done
done

umask 077
mkdir -p "$dir"
work=$(mktemp -d "$dir/.making.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
if [ ! -e "$dir/ca.pem" ] && [ ! -e "$dir/ca.key" ]; then
    make_authority
elif [ ! -r "$dir/ca.pem" ] || [ ! -r "$dir/ca.key" ]; then
    fail "$dir has only one of ca.pem and ca.key: put the other there, or take another --dir"
fi
for given in "$@"; do
    make_certificate "$given"
done
cat <<TEXT

Copy to each machine its own .pem and .key, and ca.pem, readable by you alone, for example
    scp -p $dir/${1%%,*}.pem $dir/${1%%,*}.key $dir/ca.pem ${1%%,*}:.coro_sor/
and start nodes and coro-sor with
    --certificate ${1%%,*}.pem --key ${1%%,*}.key --ca ca.pem
TEXT
