import java.math.BigInteger;
import java.util.*;
import java.util.stream.*;

public class Hello {
    sealed interface Shape permits Circle, Square {}
    record Circle(double radius) implements Shape {}
    record Square(double side) implements Shape {}

    static double area(Shape shape) {
        if (shape instanceof Circle c) return Math.PI * c.radius() * c.radius();
        if (shape instanceof Square s) return s.side() * s.side();
        throw new IllegalStateException();
    }

    /** The JVM finds null and out-of-bounds accesses by signals and explicit checks, depending on how hot the code is. */
    static int caught(Object[] things) {
        int count = 0;
        for (int i = 0; i < 200_000; i++) {
            try {
                count += things[i % 5].hashCode() & 0;
            } catch (NullPointerException | ArrayIndexOutOfBoundsException e) {
                count++;
            }
        }
        return count;
    }

    static int depth(int n) {
        return 1 + depth(n + 1);
    }

    public static void main(String[] args) {
        System.out.println("Hello from Java");
        System.out.println(IntStream.rangeClosed(1, 1000).filter(i -> i % 7 == 0).mapToLong(i -> (long) i * i).sum());
        System.out.println(IntStream.rangeClosed(1, 60).mapToObj(BigInteger::valueOf).reduce(BigInteger.ONE, BigInteger::multiply));
        Map<Integer, Long> lengths = Stream.of("one two three four five six seven eight nine ten".split(" "))
            .collect(Collectors.groupingBy(String::length, TreeMap::new, Collectors.counting()));
        System.out.println(lengths);
        System.out.printf("%.6f %.3f%n", area(new Circle(2)), area(new Square(1.5)));
        System.out.println(caught(new Object[] {"a", null, "b", "c"}));
        try {
            System.out.println(depth(0));
        } catch (StackOverflowError e) {
            System.out.println("the stack is full");
        }
        try {
            System.out.println(1 / (args.length - args.length));
        } catch (ArithmeticException e) {
            System.out.println(e.getMessage());
        }
        long h = 1125899906842597L;
        for (int i = 0; i < 20_000_000; i++) h = 31 * h + (i ^ (h >>> 7));
        System.out.println(h);
        double sum = 0;
        for (int i = 1; i <= 3_000_000; i++) sum += StrictMath.sin(i) / i;
        System.out.println(sum);
    }
}
