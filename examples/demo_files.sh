# SPDX-License-Identifier: ISC
# shellcheck shell=sh
#
# Keys, certificates and files for the demos.  Sourced by demo.sh and
# unikernel/run.sh, which set $dir, a private directory, and $www, the name of the
# page.

fail() {
    printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2
    [ ! -s "$dir/log" ] || tail -n 20 "$dir/log" >&2
    exit 1
}

openssl_quietly() {
    openssl "$@" >"$dir/log" 2>&1 || fail "openssl $1 failed"
}

make_ca() {
    cat >"$dir/openssl.cnf" <<'CONF'
[req]
distinguished_name = name
prompt = no
x509_extensions = ca
[name]
CN = libflow demo CA
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
CONF
    openssl_quietly ecparam -name prime256v1 -genkey -noout -out "$dir/ca.key"
    openssl_quietly req -new -x509 -config "$dir/openssl.cnf" \
        -key "$dir/ca.key" -days 30 -out "$dir/ca.pem"
}

# make_certificate NAME
make_certificate() {
    cat >"$dir/leaf.cnf" <<CONF
[req]
distinguished_name = name
prompt = no
[name]
CN = $1
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:$1
CONF
    openssl_quietly ecparam -name prime256v1 -genkey -noout -out "$dir/$1.key"
    openssl_quietly req -new -config "$dir/leaf.cnf" -key "$dir/$1.key" \
        -out "$dir/$1.csr"
    openssl_quietly x509 -req -in "$dir/$1.csr" -CA "$dir/ca.pem" \
        -CAkey "$dir/ca.key" -CAcreateserial -days 30 \
        -extfile "$dir/leaf.cnf" -extensions leaf -out "$dir/$1.pem"
}

make_page() {
    cat >"$dir/index.html" <<HTML
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>libflow</title>
<h1>It flows</h1>
<p>This page came to you because you asked for <code>$www</code>.  The server
did not read what else your browser had to say; the name was enough.</p>
</html>
HTML
}

# pdf_object TEXT: append an object and record its offset.
pdf_object() {
    offsets="$offsets $(wc -c <"$pdf")"
    objects=$((objects + 1))
    printf '%d 0 obj\n%s\nendobj\n' "$objects" "$1" >>"$pdf"
}

make_pdf() {
    pdf=$dir/paper.pdf
    offsets=
    objects=0
    content='BT /F 24 Tf 72 720 Td (It flows) Tj ET'
    printf '%%PDF-1.4\n' >"$pdf"
    pdf_object '<< /Type /Catalog /Pages 2 0 R >>'
    pdf_object '<< /Type /Pages /Kids [3 0 R] /Count 1 >>'
    pdf_object '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842]
/Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>'
    pdf_object "<< /Length ${#content} >>
stream
$content
endstream"
    pdf_object '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>'
    start=$(wc -c <"$pdf")
    {
        printf 'xref\n0 %d\n0000000000 65535 f \n' $((objects + 1))
        # shellcheck disable=SC2086 # a list of numbers
        printf '%010d 00000 n \n' $offsets
        printf 'trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n' \
            $((objects + 1)) "$start"
    } >>"$pdf"
}

hash_of() {
    openssl dgst -sha256 -r | cut -d ' ' -f 1
}
