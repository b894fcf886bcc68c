# git: commit, branch, merge, clone, gc, fsck.
cd /tmp && export GIT_AUTHOR_DATE='2001-02-03T04:05:06Z' GIT_COMMITTER_DATE='2001-02-03T04:05:06Z' HOME=/tmp; git config --global user.name k; git config --global user.email k@k; git config --global init.defaultBranch main
mkdir r && cd r && git init -q && cp -r /usr/include/linux . && git add . && git commit -qm one && for i in 1 2 3 4 5; do echo $i >> linux/fs.h; git commit -qam $i; done
git checkout -qb side HEAD~3 && echo s > s && git add s && git commit -qm side && git checkout -q main && git merge -qm merge side; git log --oneline --graph | cat; git rev-parse HEAD^{tree}
git clone -q . ../c && cd ../c && git gc -q && git fsck --full && git status --short && git count-objects -v | grep -v size; git diff HEAD~2 --stat | tail -1; git bundle create -q ../b HEAD && git bundle verify -q ../b; git grep -c EXPORT | head -3; git stash list; git blame -s linux/fs.h | tail -2; git archive HEAD | sha1sum
