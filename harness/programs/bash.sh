# bash's own machinery: arrays, jobs, traps, substitutions, redirections.
exec bash -c '
set -u
declare -A map=([one]=1 [two]=2 [three]=3)
for key in "${!map[@]}"; do echo "$key=${map[$key]}"; done | sort
list=({a..e}); echo "${list[@]:1:3} ${#list[@]} ${list[@]/c/C}"
diff <(printf "%s\n" 1 2 3) <(printf "%s\n" 1 3) ; echo "diff $?"
trap "echo usr1" USR1; kill -USR1 $$; trap - USR1
(sleep 0.1; exit 5) & wait $!; echo "waited $?"
coproc CAT { cat; }; echo through >&"${CAT[1]}"; read -r line <&"${CAT[0]}"; echo "$line"
exec {CAT[1]}>&-; wait
f() { local n=$1; ((n < 2)) && echo "$n" || echo $(($(f $((n-1))) + $(f $((n-2))))); }; f 10
printf "%05.2f|%-8s|%q\n" 3.14159 left "a b"
yes | head -1000 | wc -l; echo "${PIPESTATUS[@]}"
mapfile -t lines < /etc/passwd; echo ${#lines[@]}
cat <<< "here $((1 << 40))"
ulimit -c; umask; ulimit -n
exec 2>/dev/null; set -m; sleep 10 & kill -STOP %1; jobs; kill -KILL %1; sleep 0.5; wait %1; echo "killed $?"
test -t 0; echo $?; [[ abc =~ b(.) ]]; echo "${BASH_REMATCH[1]}"
exit 42'
