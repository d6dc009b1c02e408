// com.microsoft: quantised tables and weights that are looked up or unpacked before use: GatherBlockQuantized, QEmbedLayerNormalization,
// MatMulBnb4; and QLinearWhere.
#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <algorithm>

#include "program/op.h"
#include "program/ops/contrib_quantized.h"
#include "program/ops/normalization.h"
#include "program/ops/quantization.h"

namespace sparsify {
namespace {

/// condition, then (tensor, scale, zero point) of X and of Y, then scale and zero point of the result.
void qlinear_where(OpCall& call) {
  const at::Tensor condition = call.tensor(0).to(call.device());
  call.set(0, quantised(call, at::where(condition, dequantised(call, 1, 2, 3), dequantised(call, 4, 5, 6)), 7, 8));
}

/// Rows of `table` along `axis`; what is out of range gives zeros.
at::Tensor gathered(const at::Tensor& table, const at::Tensor& indices, int64_t axis) {
  return table.index_select(axis, indices.clamp(0, table.size(axis) - 1));
}

/// data, indices, scales, zero_points: Gather, then (data - zero_point) * scale with one scale for each block along quantize_axis. Only
/// what is gathered is unpacked: a table of words may be larger as floats than the memory.
void gather_block_quantized(OpCall& call) {
  const at::ScalarType type = call.tensor(2).scalar_type();
  const bool packed = call.type(0) == DType::UInt8;
  const int64_t bits = call.attribute("bits", 4);
  at::Tensor data = call.tensor(0).to(call.device());
  at::Tensor scales = call.tensor(2).to(call.device(), at::kFloat);
  const int64_t rank = data.dim();
  const int64_t axis = normalise_axis(call, call.attribute("gather_axis", 0), rank);
  const int64_t quantised_axis = normalise_axis(call, call.attribute("quantize_axis", 1), rank);
  if (packed && bits != 2 && bits != 4 && bits != 8) {
    call.fail(fmt::format("data of {} bits is not supported", bits), "use 2, 4 or 8");
  }
  if (axis == quantised_axis || (packed && bits != 8 && axis == rank - 1)) {
    call.fail("the blocks lie along the axis that is gathered", "quantise along another axis");
  }
  const at::Tensor given = call.tensor(1).to(call.device(), at::kLong);
  const at::Tensor indices = given.reshape({-1});
  const int64_t rows = data.size(axis);
  const at::Tensor from_front = at::where(indices < 0, indices + rows, indices);
  data = gathered(data, from_front, axis);
  if (scales.size(axis) == rows) scales = gathered(scales, from_front, axis);
  at::Tensor values = (packed ? unpacked(data, bits) : data).to(at::kFloat);
  const int64_t block = call.attribute("block_size", 128);
  const int64_t along = block == 0 ? values.size(quantised_axis) : block;
  if (call.has(3)) {
    at::Tensor zero_points = call.tensor(3).to(call.device());
    if (packed) zero_points = unpacked(zero_points, bits).narrow(rank - 1, 0, call.tensor(2).size(rank - 1));
    zero_points = gathered(zero_points.to(at::kFloat), from_front, axis);
    values = values - spread(call, zero_points, values.sizes(), quantised_axis, along);
  } else if (packed) {
    values = values - static_cast<double>(int64_t{1} << (bits - 1));
  }
  at::Tensor result = values * spread(call, scales, values.sizes(), quantised_axis, along);
  std::vector<int64_t> mask(static_cast<size_t>(rank), 1);
  mask[static_cast<size_t>(axis)] = -1;
  const at::Tensor inside = (from_front >= 0).logical_and(from_front < rows).view(mask);
  result = at::where(inside, result, at::zeros({}, result.options()));
  std::vector<int64_t> shape = result.sizes().vec();
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, given.sizes().begin(), given.sizes().end());
  call.set(0, result.reshape(shape).to(type));
}

/// input_ids, segment_ids, then tables of words, positions and segments, gamma, beta, mask; scales of these five at 8, zero points at 13.
void embed_layer_normalization(OpCall& call) {
  const at::Tensor ids = call.tensor(0).to(call.device(), at::kLong);  // [B, S]
  const auto rows = [&call](size_t table, size_t scale, size_t zero_point, const at::Tensor& which) {
    const at::Tensor codes = call.tensor(table).to(call.device()).index_select(0, which.reshape({-1})).to(at::kFloat);
    const at::Tensor shifted = call.has(zero_point) ? codes - call.tensor(zero_point).to(call.device(), at::kFloat) : codes;
    std::vector<int64_t> shape = which.sizes().vec();
    shape.push_back(codes.size(1));
    return at::Tensor((shifted * call.tensor(scale).to(call.device())).view(shape));
  };
  const at::Tensor places = integer_tensor([&] {
    std::vector<int64_t> all(static_cast<size_t>(ids.size(1)));
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
    return all;
  }()).to(call.device());
  at::Tensor sum = rows(2, 8, 13, ids) + rows(3, 9, 14, places);
  if (call.has(1) && call.has(4)) sum = sum + rows(4, 10, 15, call.tensor(1).to(call.device(), at::kLong));
  const at::Tensor gamma = dequantised(call, 5, 11, 16);
  const at::Tensor beta = dequantised(call, 6, 12, 17);
  call.set(0, layer_normalise(sum, gamma, beta, 2, call.attribute_number("epsilon", 1e-12)).output);
  if (call.wants(1)) {
    call.set(1, call.has(7) ? call.tensor(7).sum(1, false, at::kInt) : at::Tensor(at::zeros({ids.size(0)}, at::TensorOptions(at::kInt))));
  }
}

/// Values of the 4-bit codes (Dettmers et al. 2023, arXiv:2305.14314, appendix E; FP4 as in bitsandbytes).
at::Tensor code_book(bool normal_float, const at::TensorOptions& options) {
  static const std::vector<float> normal{-1.0F,          -0.69619280F, -0.52507305F, -0.39491749F, -0.28444138F, -0.18477343F,
                                         -0.09105004F,   0.0F,         0.07958030F,  0.16093020F,  0.24611230F,  0.33791524F,
                                         0.44070983F,    0.56261700F,  0.72295684F,  1.0F};
  static const std::vector<float> plain{0.0F,  5.208333333e-03F,  2.0F / 3,  1.0F,  1.0F / 3,  0.5F,  1.0F / 6,  0.25F,
                                        -0.0F, -5.208333333e-03F, -2.0F / 3, -1.0F, -1.0F / 3, -0.5F, -1.0F / 6, -0.25F};
  return at::tensor(normal_float ? normal : plain, options);
}

/// A, B (two codes a byte, high bits first, of the flattened [N, K] weight), absmax (one for each block)
void matmul_bnb4(OpCall& call) {
  const at::Tensor& input = call.tensor(0);
  const int64_t features = call.attribute("K", 0);
  const int64_t outputs = call.attribute("N", 0);
  const int64_t block = call.attribute("block_size", 0);
  if (call.attribute("transB", 1) == 0) call.fail("transB = 0 (of a backward pass) is not supported", "export the forward pass");
  if (block <= 0) call.fail("attribute \"block_size\" is missing", "quantise the model again");
  const at::Tensor bytes = call.tensor_on(1, input).reshape({-1}).to(at::kInt);
  const at::Tensor codes = at::stack({bytes.bitwise_right_shift(4), bytes.bitwise_and(15)}, 1).reshape({-1}).narrow(0, 0, outputs * features);
  const at::Tensor book = code_book(call.attribute("quant_type", 1) != 0, at::TensorOptions(at::kFloat).device(input.device()));
  const at::Tensor scales = call.tensor_on(2, input).to(at::kFloat).repeat_interleave(block).narrow(0, 0, outputs * features);
  const at::Tensor weights = (book.index_select(0, codes.to(at::kLong)) * scales).view({outputs, features}).to(input.scalar_type());
  call.set(0, at::matmul(input, weights.t()));
}

const RegisterOps entries{
    "com.microsoft",
    {
        {.name = "QLinearWhere", .function = qlinear_where, .gradient = Gradient::No, .notes = "the result is a quantised integer"},
        {.name = "GatherBlockQuantized", .function = gather_block_quantized, .gradient = Gradient::Some,
         .notes = "for the scales; not along the axis of the blocks"},
        {.name = "QEmbedLayerNormalization", .function = embed_layer_normalization, .gradient = Gradient::Some,
         .notes = "for the scales; the tables are integers"},
        {.name = "MatMulBnb4", .function = matmul_bnb4, .gradient = Gradient::Some, .notes = "for A and absmax; the packed weights are frozen"},
    }};

}  // namespace
}  // namespace sparsify
