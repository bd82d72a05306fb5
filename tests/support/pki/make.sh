#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Keys and certificates for the tests, made when the tests are built.
#
# usage: make.sh DIRECTORY STAMP

set -eu

out=$1
case $2 in /*) stamp=$2 ;; *) stamp=$PWD/$2 ;; esac
mkdir -p "$out"
cd "$out"
rm -f ./*

# Do not read the machine's own openssl.cnf.
cat >openssl.cnf <<'CONF'
[req]
distinguished_name = dn
[dn]
[ca]
default_ca = ca_default
[ca_default]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = policy_any
unique_subject = no
copy_extensions = copy
[policy_any]
commonName = supplied
CONF
OPENSSL_CONF=$PWD/openssl.cnf
export OPENSSL_CONF
: >index.txt
echo 1000 >serial

key() {
    case $2 in
    p256) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" ;;
    p384) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$1.key" ;;
    ed25519) openssl genpkey -algorithm ED25519 -out "$1.key" ;;
    rsa) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1.key" ;;
    esac 2>/dev/null
}

# root NAME SUBJECT
root() {
    key "$1" p256
    openssl req -x509 -new -key "$1.key" -subj "/CN=$2" -days 3650 \
        -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign,cRLSign -out "$1.pem"
}

# leaf NAME TYPE ISSUER SAN [START END]: NAME.pem and NAME.key.  SAN "-": a
# common name and no subjectAltName.
leaf() {
    key "$1" "$2"
    {
        echo 'basicConstraints=critical,CA:FALSE'
        echo 'keyUsage=critical,digitalSignature'
        [ "$4" = - ] || echo "subjectAltName=$4"
    } >"$1.ext"
    openssl req -new -key "$1.key" -subj "/CN=${7:-$1}" -out "$1.csr"
    openssl ca -batch -config openssl.cnf -notext -in "$1.csr" \
        -cert "$3.pem" -keyfile "$3.key" -extfile "$1.ext" \
        -startdate "${5:-20200101000000Z}" -enddate "${6:-20491231235959Z}" \
        -out "$1.pem" 2>/dev/null
}

root ca 'Test Root'
root other 'Other Root'

# intermediate NAME ISSUER CONSTRAINTS SUBJECT: with the key NAME.key.
intermediate() {
    {
        echo "basicConstraints=critical,$3"
        echo 'keyUsage=critical,keyCertSign,cRLSign'
    } >"$1.ext"
    openssl req -new -key "$1.key" -subj "/CN=$4" -out "$1.csr"
    openssl ca -batch -config openssl.cnf -notext -in "$1.csr" -cert "$2.pem" \
        -keyfile "$2.key" -extfile "$1.ext" -startdate 20200101000000Z \
        -enddate 20491231235959Z -out "$1.pem" 2>/dev/null
}

key intermediate p256
intermediate intermediate ca CA:TRUE,pathlen:0 'Test Intermediate'

names=DNS:server.example,DNS:localhost,IP:127.0.0.1,IP:::1
leaf p256 p256 ca "$names"
leaf p384 p384 ca "$names"
leaf rsa rsa ca "$names"
leaf ed25519 ed25519 ca "$names"
leaf second p256 ca DNS:second.example
leaf wildcard p256 ca DNS:*.wild.example
leaf expired p256 ca "$names" 20200101000000Z 20210101000000Z
leaf future p256 ca "$names" 20480101000000Z 20491231235959Z
leaf wrongname p256 ca DNS:elsewhere.example
leaf ip p256 ca IP:127.0.0.1
leaf cnonly p256 ca - 20200101000000Z 20491231235959Z server.example
leaf untrusted p256 other "$names"
leaf chained p256 intermediate "$names"

cat chained.pem intermediate.pem >chain.pem
cat chained.pem ca.pem intermediate.pem >misordered.pem

# Nine intermediates, of one key.
above=ca
certs=
for depth in 1 2 3 4 5 6 7 8 9; do
    cp intermediate.key "deep$depth.key"
    intermediate "deep$depth" "$above" CA:TRUE "Test Intermediate $depth"
    above=deep$depth
    certs="$above.pem $certs"
done
leaf deep p256 "$above" "$names"
# shellcheck disable=SC2086 # a list of files
cat deep.pem $certs >deepchain.pem
openssl ec -in p256.key -aes256 -passout pass:opensesame -out encrypted.key 2>/dev/null
openssl x509 -in p256.pem -outform DER -out p256.der
openssl pkey -in p256.key -outform DER -out p256.key.der

: >"$stamp"
