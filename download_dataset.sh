#!/bin/sh
# Download the data and weights of the experiments, check them, and put them in place.
#
#   sh ./download_dataset.sh [afhq] [taesd] [mnist]      without a name: taesd and afhq
#
#   taesd  the autoencoder's weights, about 10 MB    pretrained/taesd_{encoder,decoder}.pth
#   afhq   animal faces (AFHQ v2), several GB        data/afhq/{train,test}/{cat,dog,wild}
#   mnist  handwritten digits, 12 MB                 data/MNIST/raw/*.gz
#
# The folders are beside this script. What is there and right is left alone, and a download that
# was interrupted goes on where it stopped: when in doubt, run the same command again.
#
# Mirrors and other versions are chosen by environment variables:
#   TAESD_URL, MNIST_URL                 the address above the files' names
#   AFHQ_URL                             the address of the zip archive
#   AFHQ_COUNTS                          its pictures in train/cat, dog, wild and test/cat, dog, wild;
#                                        empty for any number
#   TAESD_ENCODER_ID, TAESD_DECODER_ID   what `git hash-object FILE` prints for the weights
#
# Exit codes: 0 all is there; 1 something could not be downloaded or is not right; 2 wrong usage.

set -u
TAESD_URL=${TAESD_URL:-https://github.com/madebyollin/taesd/raw/main}
TAESD_ENCODER_ID=${TAESD_ENCODER_ID:-65f85afc58480128926e52086fbf0fdc61c2c9b5}
TAESD_DECODER_ID=${TAESD_DECODER_ID:-5915a429fc08eba4adf62bf74f96705b8b0d5c1f}
AFHQ_URL=${AFHQ_URL:-https://www.dropbox.com/s/vkzjokiwof5h8w6/afhq_v2.zip?dl=1}
AFHQ_COUNTS=${AFHQ_COUNTS-5065 4678 4593 493 491 483}
MNIST_URL=${MNIST_URL:-https://ossci-datasets.s3.amazonaws.com/mnist}

newline='
'
child=     # the program in the background that a signal has to end
scratch=   # the file or folder that a signal has to remove

say() { printf '%s\n' "$*"; }
complain() { printf 'error: %s\n' "$*" >&2; return 1; }
have() { command -v "$1" >/dev/null 2>&1; }
size() { if [ -f "$1" ]; then echo $(($(wc -c <"$1"))); else echo 0; fi; }

need() {
    for tool in "$@"; do ! have "$tool" || return 0; done
    complain "one of these programs is needed, and none of them is installed: $*"
}

# A shell acts on a signal only after its foreground program has ended, but at once while it waits.
run() {
    "$@" &
    child=$!
    wait "$child"
    set -- $?
    child=
    return "$1"
}

stop() {
    trap '' INT TERM HUP
    [ -z "$child" ] || { kill "$child"; wait "$child"; } 2>/dev/null
    [ -z "$scratch" ] || rm -rf "$scratch"
    say "stopped; run the same command again, and it goes on from here" >&2
    exit "$1"
}

digest() {  # sha1 or md5 of stdin, in hexadecimal
    if have "${1}sum"; then "${1}sum"
    elif [ "$1" = sha1 ] && have shasum; then shasum
    else openssl dgst "-$1" -r
    fi | cut -d ' ' -f 1
}

blob_id() {  # git comes last: on a new Mac its name only opens a dialog that offers to install it
    if have sha1sum || have shasum || have openssl; then
        { printf 'blob %d\0' "$(size "$1")"; cat "$1"; } | digest sha1
    else git hash-object --no-filters "$1"
    fi
}

TEST_ZIP='import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)'
zip_is_whole() {
    if have unzip; then run unzip -tqq "$1"
    else run python3 -c "$TEST_ZIP" "$1"
    fi >/dev/null 2>&1
}

unpack() {  # ARCHIVE FOLDER; both programs keep members with '..' in their names inside the folder
    have unzip || { run python3 -m zipfile -e "$1" "$2"; return; }
    run unzip -qo "$1" -d "$2" || [ $? = 1 ]  # 1: a warning, and all is unpacked
}

inspect() {  # FILE EXPECTED: says in $wrong what the file is instead; empty where it is right
    case $2 in
        blob:*) wrong=blob:$(blob_id "$1") ;;
        md5:*) wrong=md5:$(digest md5 <"$1") ;;
        zip)
            say "checking $1"
            if zip_is_whole "$1"; then wrong=zip; else wrong=broken; fi
            ;;
    esac
    if [ "$wrong" = "$2" ]; then wrong=
    elif dd if="$1" bs=1024 count=1 2>/dev/null | LC_ALL=C grep -qi -e '<html' -e '<!doctype'; then
        wrong="a web page, perhaps an error message or a network's login page"
    elif [ "$2" = zip ]; then wrong="no zip archive, or a damaged one"
    else wrong="a file with another hash (${wrong#*:} instead of ${2#*:})"
    fi
}

request() {  # one attempt at $url, which appends to $part
    if ! have curl; then
        if [ -t 2 ]; then set --; else set -- -nv; fi
        run wget "$@" -c -t 1 -T 60 -O "$part" "$url"
        return
    fi
    if [ -t 2 ]; then set -- --progress-bar; else set -- -sS; fi
    scratch=$part.status
    run curl -fL "$@" --connect-timeout 30 --speed-limit 1 --speed-time 60 \
        -C - -w '%{http_code}' -o "$part" "$url" >"$scratch"
    set -- $? "$(cat "$scratch")"
    rm -f "$scratch"
    [ "$2" != 416 ] || return 33  # 416, no such range: as useless as 33, no ranges at all
    return "$1"
}

transfer() {  # $url to $part, going on after a break for as long as bytes come
    if have curl; then unwritable=23; else unwritable=3; fi  # their codes for a failed write
    for try in 1 2 3 4 5 6 7 8 9 10; do
        [ "$try" = 1 ] || run sleep 1
        before=$(size "$part")
        [ "$before" = 0 ] || resumed=yes
        request && return
        set -- $?
        [ "$1" != $unwritable ] || break
        if [ "$1" = 33 ] && [ "$before" != 0 ]; then
            say "the server cannot go on from there: starting over"
            rm -f "$part"
        elif [ "$(size "$part")" -gt "$before" ]; then
            say "the connection broke after $(size "$part") bytes: going on from there"
        else
            break
        fi
    done
    [ -s "$part" ] || rm -f "$part"
    return "$1"
}

not_transferred() {
    [ "$1" != $unwritable ] || complain "cannot write to
$root/$part
Is the disk full, or the folder read-only? Mend that, and run this again." || return
    complain "$url
could not be downloaded; the reason is above. Try again later: what came so far is kept.
If this network refuses it, open the address in a browser or on another machine, save the file as
$root/$file
and run this again: it will be checked and used."
}

fetch() {  # FILE URL EXPECTED: leaves a FILE that was checked, or fails
    file=$1 url=$2 part=$1.part resumed=
    case $3 in
        blob:*) need sha1sum shasum openssl git ;;
        md5:*) need md5sum openssl ;;
        zip) need unzip python3 ;;
    esac || return
    if [ -f "$file" ]; then
        inspect "$file" "$3"
        if [ -z "$wrong" ]; then say "$file is already there"
        else complain "$root/$file
is there, but is $wrong: delete it, and run this again"
        fi
        return
    fi
    need curl wget || return
    folder=$(dirname "$file")
    { mkdir -p "$folder" && [ -w "$folder" ]; } ||
        complain "cannot write to the folder $root/$folder" || return
    for attempt in 1 2; do
        wrong=absent
        [ ! -s "$part" ] || inspect "$part" "$3"
        if [ -n "$wrong" ]; then
            say "downloading $url"
            transfer || not_transferred $? || return
            inspect "$part" "$3"
        fi
        [ -n "$wrong" ] || { mv "$part" "$file" && say "$file is downloaded and checked"; return; }
        rm -f "$part"
        [ "$attempt$resumed" = 1yes ] || break
        say "the resumed file is $wrong: starting over"
    done
    complain "what came from $url
is $wrong.
It was thrown away. Try again later, or open the address in a browser and see what it says.
A file that you got elsewhere goes to $root/$file"
}

get_taesd() {
    for weights in "encoder $TAESD_ENCODER_ID" "decoder $TAESD_DECODER_ID"; do
        name=taesd_${weights% *}.pth
        fetch "pretrained/$name" "${TAESD_URL%/}/$name" "blob:${weights#* }" || return
    done
}

get_mnist() {  # the hashes are those of torchvision, which then unpacks the files
    set -- train-images-idx3 f68b3c2dcbeaaa9fbdd348bbdeb94873 \
        train-labels-idx1 d53e105ee54ea40749a09fcbcd1e9432 \
        t10k-images-idx3 9fb629c4189551a2d022fa330f9573f3 \
        t10k-labels-idx1 ec29112dd5afa0611ce80d1b7f02629c
    while [ $# -gt 0 ]; do
        fetch "data/MNIST/raw/$1-ubyte.gz" "${MNIST_URL%/}/$1-ubyte.gz" "md5:$2" || return
        shift 2
    done
}

pictures() { find "$1/" -type f ! -name '.*' \( -name '*.png' -o -name '*.jpg' \) 2>/dev/null; }

missing_classes() {
    for class in cat dog wild; do
        [ -n "$(pictures "$1/train/$class" | head -n 1)" ] || printf ' train/%s' "$class"
    done
}

wrong_counts() {  # FOLDER: a line for each class with another number of pictures than AFHQ v2 has
    [ -n "$AFHQ_COUNTS" ] || return 0
    counted=$1
    set -- $AFHQ_COUNTS  # unquoted: six numbers
    for class in train/cat train/dog train/wild test/cat test/dog test/wild; do
        number=$(($(pictures "$counted/$class" | wc -l)))
        [ "$number" = "${1:-0}" ] ||
            printf '\n  %s: %s pictures, not %s' "$class" "$number" "${1:-0}"
        [ $# = 0 ] || shift
    done
}

count_pictures() {
    for class in train/cat train/dog train/wild test/cat test/dog test/wild; do
        [ ! -d "$1/$class" ] || say "  $class: $(($(pictures "$1/$class" | wc -l))) pictures"
    done
}

OPEN_PICTURES='
import pathlib, sys
from PIL import Image
root, broken = pathlib.Path(sys.argv[1]), []
files = [p for s in ("train", "test") for p in sorted(root.glob(s + "/*/[!.]*")) if p.is_file()]
for path in files:
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > 50_000_000:
                raise ValueError("above 50 megapixels")
            image.load()
    except Exception as error:  # a broken picture can raise almost anything
        reason = "no picture" if "cannot identify" in str(error) else error
        broken.append(f"  {path.relative_to(root)}: {reason}")
if broken:
    print(f"{len(broken)} of {len(files)} files cannot be opened; training leaves them out:")
    print("\n".join(broken[:10] + ["  ..."] * (len(broken) > 10)))
sys.exit(len(broken) == len(files))'

check_pictures() {
    for python in .venv/bin/python python3; do
        "$python" -c 'import PIL' >/dev/null 2>&1 || continue
        say "opening every picture, which takes a minute or two"
        run "$python" -c "$OPEN_PICTURES" "$1" || complain "none of the pictures can be opened"
        return
    done
    say "Python with Pillow is not here (make setup installs it): checking names and sizes only"
    set -- "$(find "$1" -type f ! -name '.*' \( -size 0 -o ! -name '*.png' ! -name '*.jpg' \))"
    [ -z "$1" ] || say "empty files, or no pictures by their names:
$1"
}

install_afhq() {  # the checked data/afhq_v2.zip, by way of $scratch, to data/afhq
    say "unpacking data/afhq_v2.zip"
    unpack data/afhq_v2.zip "$scratch" ||
        complain "data/afhq_v2.zip could not be unpacked; the reason is above.
The archive is kept. If the disk is full, make room for another
$(($(size data/afhq_v2.zip) / 1000000)) MB, and run this again." || return
    find "$scratch" -type l -exec rm -f {} +  # pictures are files; a link may lead anywhere
    rm -rf "$scratch/__MACOSX"  # shadows of the pictures in archives made by a Mac
    # a name of two lines would read as two names below, the second of them perhaps a path of yours
    find "$scratch" -depth -name "*$newline*" -exec rm -rf {} +
    cats=$(find "$scratch" -type d -path '*/train/cat' | sort)
    folder=$(printf '%s\n' "$cats" | while IFS= read -r cat; do  # the first with all classes
        [ -n "$(missing_classes "${cat%/train/cat}")" ] || { printf '%s\n' "$cat"; break; }
    done)
    folder=${folder:-$(printf '%s\n' "$cats" | head -n 1)}
    folder=${folder%/train/cat}
    missing=$(missing_classes "${folder:-$scratch}")
    [ -z "$missing" ] || complain "$root/data/afhq_v2.zip
has no pictures in$missing, so it is not AFHQ v2: delete it, and run this again" || return
    wrong=$(wrong_counts "$folder")
    [ -z "$wrong" ] || complain "$root/data/afhq_v2.zip
is not AFHQ v2, or not all of it:$wrong
Delete it, and run this again; for another version, set AFHQ_COUNTS to its numbers." || return
    check_pictures "$folder" && count_pictures "$folder" && mv "$folder" data/afhq
}

get_afhq() {
    missing=$(missing_classes data/afhq)
    if [ -z "$missing" ]; then
        say "data/afhq is already there"
        count_pictures data/afhq
        wrong=$(wrong_counts data/afhq)
        [ -z "$wrong" ] || say "this is not all of AFHQ v2, or another version:$wrong"
        return
    fi
    rmdir data/afhq 2>/dev/null  # goes only where it is empty
    [ ! -e data/afhq ] || complain "$root/data/afhq
is there, but has no pictures in$missing: move it away, and run this again" || return
    say "AFHQ is by NAVER Corporation, licence CC BY-NC 4.0: name the source, no commercial use"
    if [ -f data/afhq_v2.zip ]; then own=yes; else own=; fi
    fetch data/afhq_v2.zip "$AFHQ_URL" zip || return
    for old in data/afhq.unpacking.*; do  # what a killed run left, not what another one works on
        case ${old##*.} in *[!0-9]*) continue ;; esac  # not from here
        kill -0 "${old##*.}" 2>/dev/null || rm -rf "$old"
    done
    mkdir "data/afhq.unpacking.$$" ||
        complain "$root/data/afhq.unpacking.$$ could not be made; the reason is above" || return
    scratch=data/afhq.unpacking.$$
    install_afhq
    set -- $?
    rm -rf "$scratch"
    [ "$1" = 0 ] || return "$1"
    say "data/afhq is complete"
    if [ -z "$own" ]; then rm data/afhq_v2.zip; else say "data/afhq_v2.zip may be deleted"; fi
}

main() {
    [ $# -gt 0 ] || set -- taesd afhq
    for name in "$@"; do
        case $name in
            taesd | afhq | mnist) ;;
            -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
            *)
                complain "unknown name '$name': known are afhq, taesd and mnist; -h explains"
                exit 2
                ;;
        esac
    done
    cd -- "$(dirname -- "$0")" || exit 1
    root=$(pwd)
    trap 'stop 129' HUP
    trap 'stop 130' INT
    trap 'stop 143' TERM
    code=0
    for name in "$@"; do
        case $name in
            taesd) get_taesd ;;
            afhq) get_afhq ;;
            mnist) get_mnist ;;
        esac || code=1
    done
    exit $code
}

main "$@"  # at the end, so that a shell reads the whole script before it does anything
