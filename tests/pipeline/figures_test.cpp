#include "pipeline/figures.h"

#include "support/catch.h"

using namespace sparsify;

TEST_CASE("MACs of a convolution are its output elements times its fan-in", "[pipeline][figures]") {
  const ModelFile file = ModelFile::load("configs/quickstart/digits.onnx");

  const auto macs = count_macs(file);

  CHECK(macs.at("stem") == 16 * 8 * 8 * 9);
  CHECK(macs.at("block1.conv1") == 16 * 8 * 8 * 16 * 9);
  CHECK(macs.at("classifier") == 32 * 10);
  CHECK(total_macs(macs, find_tensors(file)) == 968000);
}

TEST_CASE("both zeros of a float count as zero, and integer zeros too", "[pipeline][figures]") {
  CHECK(count_zeros(HostTensor::of<float>(DType::Float32, {4}, {0.0F, -0.0F, 1.0F, 1e-40F})) == 2);
  CHECK(count_zeros(HostTensor::of<uint16_t>(DType::Float16, {3}, {0x0000, 0x8000, 0x0001})) == 2);
  CHECK(count_zeros(HostTensor::of<int8_t>(DType::Int8, {3}, {0, -128, 1})) == 1);
}
