#include "support/catch.h"

#include <cmath>

#include "base/error.h"
#include "tensor/host_tensor.h"

using namespace sparsify;
using Catch::Matchers::Contains;

TEST_CASE("an element type knows its size and its name", "[tensor][dtype]") {
  CHECK(bytes_for(DType::Int4, 3) == 2);
  CHECK(bytes_for(DType::Float64, 3) == 24);
  CHECK(bits_of(DType::String) == 0);
  CHECK(name_of(DType::BFloat16) == "bfloat16");
  CHECK(name_of(static_cast<DType>(99)) == "type 99");
  CHECK(dtype_named("tensor(float16)") == DType::Float16);
  CHECK(dtype_named("FLOAT") == DType::Float32);
  CHECK(dtype_named("double") == DType::Float64);
  CHECK(dtype_named("FLOAT8E4M3FN") == DType::Float8E4M3FN);
  CHECK(dtype_named("flaot") == DType::Undefined);
}

TEST_CASE("the count of a shape saturates instead of wrapping round", "[tensor][shape]") {
  CHECK(element_count({}) == 1);
  CHECK(element_count({2, 0, 3}) == 0);
  CHECK(element_count({int64_t{1} << 40, int64_t{1} << 40}) == INT64_MAX);
  CHECK(bytes_for(DType::Float32, INT64_MAX) == INT64_MAX);
  CHECK(to_text({16, 3}) == "[16, 3]");
}

TEST_CASE("a tensor that cannot fit in memory is refused with its size", "[tensor][host]") {
  CHECK_THROWS_WITH(HostTensor(DType::Float32, {int64_t{1} << 40, int64_t{1} << 40}),
                    Contains("no memory") && Contains("float32"));
}

TEST_CASE("elements of every numeric type are read as floats", "[tensor][host]") {
  CHECK(HostTensor::of<uint16_t>(DType::BFloat16, {2}, {0x3f80, 0xc000}).to_floats() ==
        std::vector<float>{1.0f, -2.0f});
  CHECK(HostTensor::of<uint8_t>(DType::Int4, {3}, {0xf7, 0x08}).to_floats() ==
        std::vector<float>{7.0f, -1.0f, -8.0f});
  CHECK(HostTensor::of<uint8_t>(DType::UInt2, {4}, {0b11100100}).to_integers() ==
        std::vector<int64_t>{0, 1, 2, 3});
  CHECK(HostTensor::of<uint8_t>(DType::Float8E4M3FN, {3}, {0x38, 0x7e, 0x01}).to_floats() ==
        std::vector<float>{1.0f, 448.0f, std::ldexp(1.0f, -9)});
  CHECK(HostTensor::of<uint8_t>(DType::Float8E5M2, {2}, {0x7b, 0xfc}).to_floats() ==
        std::vector<float>{57344.0f, -INFINITY});
  CHECK(HostTensor::of<uint8_t>(DType::Float8E5M2FNUZ, {1}, {0x40}).to_floats() ==
        std::vector<float>{1.0f});
  CHECK(HostTensor::of<uint8_t>(DType::Float4E2M1, {2}, {0xf3}).to_floats() ==
        std::vector<float>{1.5f, -6.0f});
}

TEST_CASE("copies share their buffer and views cannot be written", "[tensor][host]") {
  HostTensor tensor = HostTensor::of<float>(DType::Float32, {2, 2}, {1, 2, 3, 4});
  HostTensor alias = tensor.reshaped({4});
  alias.mutable_data<float>()[3] = 9;
  CHECK(tensor.to_floats() == std::vector<float>{1, 2, 3, 9});

  HostTensor own = tensor.copy();
  own.mutable_data<float>()[0] = 5;
  CHECK(tensor.data<float>()[0] == 1);

  HostTensor view(DType::Float32, {2}, tensor.bytes().subspan(8), nullptr);
  CHECK(view.to_floats() == std::vector<float>{3, 9});
  CHECK_THROWS_AS(view.mutable_bytes(), std::logic_error);
}
