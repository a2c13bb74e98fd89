/* Ends by a fault: store through null. */
#include "bare.h"

int main(void)
{
    put("dying\n");
    volatile int *volatile p = 0;
    *p = 1;
    return 0;
}
