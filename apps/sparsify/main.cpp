#include <cstdio>

int main() {
  std::puts("sparsify " SPARSIFY_VERSION);
  return 0;
}
