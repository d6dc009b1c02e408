#include "pipeline/zero_points.h"

#include "program/model_text.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

BitMask without(int64_t size, const std::vector<int64_t>& gone) {
  BitMask mask(size);
  for (const int64_t index : gone) mask.prune(index);
  return mask;
}

}  // namespace

TEST_CASE("a masked integer holds the zero point of its row or column", "[pipeline][zero_points]") {
  const HostTensor stored = HostTensor::of<uint8_t>(DType::UInt8, {2, 3}, {10, 11, 12, 13, 14, 15});
  const BitMask mask = without(6, {0, 2, 4});
  const auto masked = [&](const ZeroPoints& zero) {
    HostTensor weight = stored.copy();
    write_zero_points_(mask, zero, weight);
    return weight.to_integers();
  };
  CHECK(masked({.values = HostTensor::of<uint8_t>(DType::UInt8, {}, {128})}) == std::vector<int64_t>{128, 11, 128, 13, 128, 15});
  CHECK(masked({.values = HostTensor::of<uint8_t>(DType::UInt8, {3}, {5, 6, 7}), .axis = 1}) == std::vector<int64_t>{5, 11, 7, 13, 6, 15});
  CHECK(masked({.values = HostTensor::of<uint8_t>(DType::UInt8, {2}, {8, 9}), .axis = 0}) == std::vector<int64_t>{8, 11, 8, 13, 9, 15});
}

TEST_CASE("zero points are found behind DequantizeLinear and at integer operators", "[pipeline][zero_points]") {
  const TextModel text(
      "<ir_version: 8, opset_import: [\"\": 17, \"com.microsoft\": 1]> graph (uint8[1,2,1,1] x, float[4,2] u) => (int32[1,3,1,1] y, float[4,3] v, float[4,3] t)"
      "<int8[3,2,1,1] a = {1, 2, 3, 4, 5, 6}, uint8 xz = {9}, int8[3] az = {4, 5, 6}, uint8[3,2] b = {1, 2, 3, 4, 5, 6}, float s = {0.5}, uint8 bz = {7},"
      " int8[2,3] c = {1, 2, 3, 4, 5, 6}, int8 cz = {0}>"
      "{ y = ConvInteger (x, a, xz, az) d = DequantizeLinear (b, s, bz) e = Transpose (d) v = MatMul (u, e) t = com.microsoft.DynamicQuantizeMatMul (u, c, s, cz) }");
  const ModelFile file = text.load();
  std::map<std::string, ZeroPoints> found;
  for (auto& [id, zero] : find_zero_points(file)) found.emplace(file.tensor(id).name, std::move(zero));
  CHECK(found.size() == 2);  // those of c are 0
  CHECK(found.at("a").axis == 0);
  CHECK(found.at("a").values.to_integers() == std::vector<int64_t>{4, 5, 6});
  CHECK(found.at("b").axis == -1);
  CHECK(found.at("b").values.to_integers() == std::vector<int64_t>{7});
}
