# A heap of 48 MB under each of the collectors, and every block kept has to hold what was put there.
export PATH=/usr/lib/jvm/default-java/bin:$PATH
javac -d . Pressure.java || exit
for collector in Serial Parallel G1 Z Shenandoah; do
  case $(uname -m) in mips*) case $collector in Z|Shenandoah) continue; esac; rounds=400 ;; *) rounds=2000 ;; esac
  echo $collector
  java -Drounds=$rounds -Xmx48m -XX:+Use${collector}GC Pressure || exit
done
