#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace sparsify {

/// Scaled dot-product attention over heads.
///   query [B, Hq, Sq, D], key [B, Hk, Sk, D], value [B, Hk, Sk, Dv]; Hq is a multiple of Hk
struct AttentionInputs {
  at::Tensor query{};
  at::Tensor key{};
  at::Tensor value{};
  at::Tensor allowed{};  ///< bool, broadcasts to [B, Hq, Sq, Sk]; undefined: everything
  at::Tensor bias{};     ///< float, added to the scores; undefined: none
  at::Tensor sink{};  ///< [Hq]: one more score for each head that takes weight and gives nothing;
                      ///< undefined: none
  double scale = 1;
  double softcap = 0;         ///< 0: none
  bool plain_causal = false;  ///< in addition, query i sees keys 0..i
  std::optional<at::ScalarType> softmax_type{};
};

/// Which intermediate result is wanted beside the output.
enum class AttentionScores { None, Raw, Capped, Biased, Probabilities };

struct Attended {
  at::Tensor output{};  ///< [B, Hq, Sq, Dv]; zeros where a query sees no key
  at::Tensor scores{};  ///< [B, Hq, Sq, Sk] if asked for
};

/// LibTorch's fused kernels where they compute the same, else step by step. Differentiable.
Attended attend(const AttentionInputs& inputs, AttentionScores scores = AttentionScores::None);

/// [B, S, heads * D] -> [B, heads, S, D]
at::Tensor split_heads(const at::Tensor& tensor, int64_t heads);
/// [B, heads, S, D] -> [B, S, heads * D]
at::Tensor join_heads(const at::Tensor& tensor);

/// bool [Sq, Sk], or [B, 1, Sq, Sk] when offset is [B, 1, 1, 1]: key j is at most `right` after and
/// `left` before the query's position i + offset; a negative bound is none.
at::Tensor window_mask(int64_t queries, int64_t keys, const at::Tensor& offset, int64_t left,
                       int64_t right);

/// Rotates pairs of features by the angles of their positions (Su et al. 2021, arXiv:2104.09864).
///   tensor    [B, H, S, D]; the first `2 * cosine.size(-1)` features are rotated
///   cosine, sine  broadcast to [B, 1, S, D / 2]
///   interleaved   pairs are neighbours; else the halves
at::Tensor rotate(const at::Tensor& tensor, const at::Tensor& cosine, const at::Tensor& sine,
                  bool interleaved);

}  // namespace sparsify
