# A repository of some hundred commits, cloned over the file system, by the local protocol and shallow; branches merged, pushed, packed.
export GIT_CONFIG_GLOBAL=$PWD/config GIT_AUTHOR_DATE='2024-01-02T03:04:05Z' GIT_COMMITTER_DATE='2024-01-02T03:04:05Z'
git config --global user.name Tester; git config --global user.email tester@example.org
git config --global init.defaultBranch main; git config --global gc.auto 0; git config --global protocol.file.allow always
git config --global safe.directory '*'
git init -q one || exit
# The history comes from a stream, so that each commit is not ten processes.
{
  echo 'blob'; echo 'mark :1'; echo 'data 6'; echo first
  for i in $(seq 300); do
    echo "commit refs/heads/$([ $((i % 10)) = 9 ] && echo side || echo main)"
    echo "mark :$((i + 1000))"
    echo "committer Tester <tester@example.org> $((1700000000 + i * 60)) +0000"
    m="commit $i"; printf 'data %d\n%s\n' ${#m} "$m"
    [ $i != 9 ] || echo 'from :1008'
    [ $i != 1 ] || echo "M 100644 :1 first"
    text=$(for j in $(seq $((i % 40 + 1))); do echo "line $j of $i: $((i * j * j))"; done)
    printf 'M 100644 inline dir%d/file%d\ndata %d\n%s\n' $((i % 7)) $((i % 60)) ${#text} "$text"
    echo
  done
} | git -C one fast-import --quiet || exit
cd one
git checkout -q main
git rev-parse main side | tee ../heads
git merge -q --no-edit side -m merged || exit
git rev-parse main^{tree}; git log --oneline | wc -l
echo changed >> first; git commit -qam 'changed by hand'
git rev-parse main
cd ..
git clone -q one local || exit
git clone -q --no-local one packed 2>&1 || exit
git clone -q --depth 5 file://$PWD/one shallow || exit
for clone in one local packed shallow; do
  git -C $clone fsck --full --strict 2>&1 | grep -v '^dangling\|^notice'
  echo "$clone $(git -C $clone rev-parse HEAD) $(git -C $clone log --oneline | wc -l) $(git -C $clone status --porcelain | wc -l)"
done
diff -r --exclude=.git one packed && echo same files
cd packed
git checkout -q -b work; sed -i 's/line 3/LINE 3/' dir*/file*; git diff --stat | tail -n 1
git commit -qam 'upper case'; git push -q origin work 2>&1
git -C ../one log -1 --format='%s %T' work
git rebase -q main~2 > /dev/null 2>&1; git blame -s first | cut -c 10-
git stash list; echo x > untracked; git stash -qu; git stash pop -q; git status --short
git -C ../one gc -q --prune=now; git -C ../one count-objects -v | grep -E '^(count|packs|in-pack|garbage)'
git -C ../one fsck --full && git bundle create -q ../all.bundle --all && git bundle verify -q ../all.bundle 2>&1 | tail -n 1
git archive --format=tar main | tar tf - | wc -l
git grep -c 'LINE 3 ' | head -n 3
