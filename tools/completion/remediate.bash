# SPDX-License-Identifier: BSD-3-Clause
# Bash completion of remediate(1): commands, options, files, interfaces and stock policies.

_remediate_words()
{
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_remediate_files()
{
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
    compopt -o filenames 2>/dev/null
}

_remediate_interfaces()
{
    local path names=any
    for path in /sys/class/net/*; do
        [ -e "$path" ] && names+=" ${path##*/}"
    done
    _remediate_words "$names" "$1"
}

# A policy is a file or a text; of texts only the stock ones can be guessed.
_remediate_policies()
{
    local name
    _remediate_files "$1"
    for name in nat lb ids firewall; do
        [[ "preset $name" == "$1"* ]] && COMPREPLY+=("'preset $name'")
    done
}

# The value of an option; fails when the option takes none.
_remediate_value()
{
    case $1 in
    -r | --read | -w | --write) _remediate_files "$2" ;;
    -p | --policy) _remediate_policies "$2" ;;
    -i | --interface | -o | --output) _remediate_interfaces "$2" ;;
    --side) _remediate_words "in out" "$2" ;;
    --timeout)
        _remediate_words "tcp-opening= tcp-open= tcp-closing= tcp-closed= udp= icmp= sctp= other=" \
            "$2"
        compopt -o nospace 2>/dev/null
        ;;
    -c | --count | --max-flows | -s | --snaplen | -B | --buffer) COMPREPLY=() ;;
    *) return 1 ;;
    esac
}

_remediate()
{
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local common="--read --max-flows --outer --inner --timeout --json --help"
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        _remediate_words "mirror flows policy --help --version" "$current"
        return
    fi
    # --name=value comes as three words.
    if [ "$current" = "=" ]; then
        current=
    elif [ "$before" = "=" ] && [ "$COMP_CWORD" -ge 3 ]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    _remediate_value "$before" "$current" && return
    case ${COMP_WORDS[1]} in
    mirror)
        _remediate_words "$common --policy --interface --write --output --count --side --snaplen
            --buffer --progress --no-progress" "$current"
        ;;
    flows) _remediate_words "$common" "$current" ;;
    policy)
        if [ "$COMP_CWORD" -eq 2 ]; then
            _remediate_words "check print explain presets --help" "$current"
        elif [[ $current == -* ]]; then
            _remediate_words "$common --count --side" "$current"
        elif [ "$COMP_CWORD" -eq 3 ]; then
            _remediate_policies "$current"
        fi
        ;;
    esac
}

complete -F _remediate remediate
