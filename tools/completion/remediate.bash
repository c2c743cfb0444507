# SPDX-License-Identifier: BSD-3-Clause
# bash completion for remediate(1)

_remediate() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "mirror flows policy publish watch snapshot audit listen parse rules --help --version" -- "$word")
        return
    fi
    case $before in
    --sign | --verify)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    -i | --interface | -o | --output)
        mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net 2>/dev/null) any" -- "$word")
        return
        ;;
    --side)
        mapfile -t COMPREPLY < <(compgen -W "in out" -- "$word")
        return
        ;;
    -r | --rules)
        if [ "$command" = parse ] || [ "$command" = listen ]; then
            mapfile -t COMPREPLY < <(compgen -f -W "$(remediate rules list 2>/dev/null | cut -d' ' -f1)" -- "$word")
            return
        fi
        ;;
    --timeout)
        mapfile -t COMPREPLY < <(compgen -S = -W "tcp-opening tcp-open tcp-closing tcp-closed udp icmp sctp other" -- "$word")
        return
        ;;
    -c | --count | --key | --max-flows | -s | --snaplen | -B | --buffer)
        return
        ;;
    esac
    local options="--read --max-flows --inner --outer --timeout --json --help"
    [ "$command" = mirror ] && options="$options --policy --interface --write --output --count --side --snaplen --buffer --progress --no-progress"
    [ "$command" = policy ] && options="$options --count --side"
    case $command in
    publish) options="--domain --origin --epoch --source --spool --spool-size --no-resume --wait --sign --key --json --help" ;;
    watch) options="--from --count --once --verify --json --help" ;;
    snapshot) options="--output --digest --leaves --msgpack --wait --max-entries --verify --help" ;;
    audit) options="--quiet --leaves --wait --max-entries --verify --json --help" ;;
    parse) options="--rules --json --explain --domain --origin --epoch --zone --now --virtual --quiet --help" ;;
    rules) options="--json --help" ;;
    listen) options="--rules --domain --origin --epoch --zone --virtual --spool --spool-size --no-resume --wait --sign --key --unmatched --sample --unmatched-size --max-connections --max-per-address --by-host --stats --json --help" ;;
    esac
    if [ "$command" = policy ] && [ "$COMP_CWORD" -eq 2 ]; then
        mapfile -t COMPREPLY < <(compgen -W "check print explain presets" -- "$word")
    elif [ "$command" = rules ] && [ "$COMP_CWORD" -eq 2 ]; then
        mapfile -t COMPREPLY < <(compgen -W "list print check" -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -o filenames -F _remediate remediate
