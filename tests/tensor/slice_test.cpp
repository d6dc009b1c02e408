#include "support/catch.h"

#include "tensor/slice.h"

using namespace sparsify;

TEST_CASE("a slice keeps the named indices of its axes", "[tensor][slice]") {
  const HostTensor tensor = HostTensor::of<int32_t>(DType::Int32, {2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  const HostTensor result = sliced(tensor, {{1, {0, 2}}, {2, {1}}});
  CHECK(result.shape() == Shape{2, 2, 1});
  CHECK(result.to_integers() == std::vector<int64_t>{1, 5, 7, 11});
  CHECK(sliced_shape(tensor.shape(), {{0, {1}}}) == Shape{1, 3, 2});
  CHECK(sliced(tensor, {{0, {}}}).count() == 0);
  CHECK(sliced(tensor, {}).to_integers() == tensor.to_integers());
}

TEST_CASE("elements of four bits are unpacked and packed again", "[tensor][slice]") {
  HostTensor tensor(DType::Int4, {5});  // 1 -2 3 -4 5, low nibble first
  const auto bytes = tensor.mutable_bytes();
  bytes[0] = std::byte{0xe1};
  bytes[1] = std::byte{0xc3};
  bytes[2] = std::byte{0x05};
  CHECK(sliced(tensor, {{0, {1, 2, 4}}}).to_integers() == std::vector<int64_t>{-2, 3, 5});
}

TEST_CASE("strings are sliced too", "[tensor][slice]") {
  const HostTensor tensor = HostTensor::of_strings({2, 2}, {"a", "b", "c", "d"});
  CHECK(sliced(tensor, {{1, {1}}}).strings() == std::vector<std::string>{"b", "d"});
}
