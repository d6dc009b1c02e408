#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "program/schedule.h"

namespace sparsify {

/// What attention is looked for with: the sole work that reads a slot which nobody else sees, and a single stored or folded number.
struct AttentionSearch {
  std::function<std::optional<size_t>(int slot)> sole_reader;
  std::function<std::optional<double>(const Step& step, size_t input)> number;
};

/// Softmax over the last axis between two products of float32 activations of rank 4, as exporters write unmasked attention out, becomes
/// one work with LibTorch's kernel (Dao et al. 2022, arXiv:2205.14135): the scores are never whole in memory. Masked attention stays:
/// what a query without keys gives is left open by that kernel. For inference: its backward pass computes the scores again, which took
/// a training step of the zoo's ViT 7 % longer than the nodes do.
///   gone  per work: set for those that went into another
void fuse_attention(Schedule& schedule, const Learned& learned, const AttentionSearch& search, std::vector<bool>& gone, bool bfloat16);

}  // namespace sparsify
