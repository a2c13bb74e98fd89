# As a source file, which the JVM compiles in memory; then compiled by javac.
export PATH=/usr/lib/jvm/default-java/bin:$PATH
java Hello.java > 1 || exit
mkdir classes
javac -Xlint:all -d classes Hello.java || exit
ls classes
java -cp classes Hello > 2 || exit
cmp 1 2 && cat 2
