#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "mask/prunable.h"
#include "program/cursor.h"
#include "program/plan.h"

namespace sparsify {

/// A constant that is added to the output of a layer on its way to the next non-linearity.
struct AddedConstant {
  int id = -1;          ///< tensor of the file
  double sign = 1;      ///< of its effect: -1 for the mean of a BatchNormalization
  at::Tensor scale{};   ///< [O] float64: by how much one unit of it moves the value at `target_slot`
};

/// One use of a weight as a linear map z = W x, and what happens to z up to the next non-linearity:
///
///   a = scale * z + shift + skip,    then perhaps Relu
///
/// `scale` and `shift` hold BatchNormalization, biases and constants; `skip` is the other operand of a residual Add.
struct LinearSite {
  enum class Kind { Conv, ConvTranspose, Product };

  PrunableTensor tensor{};   ///< of a product without its leading axes of one
  Kind kind = Kind::Product;
  size_t step = 0;           ///< in the plan
  int input_slot = -1;       ///< x
  int target_slot = -1;      ///< a
  int skip_slot = -1;        ///< -1: none
  int unadded_slot = -1;     ///< a without the skip; -1: there is none
  bool relu = false;         ///< a goes into Relu and nowhere else
  int64_t rows = 0;          ///< O: outputs, of all groups
  int64_t columns = 0;       ///< inputs of one output
  int64_t groups = 1;
  /// Input channels that are not zero for certain, ascending int64; undefined: all. Convolutions of one group only.
  at::Tensor live_inputs{};
  at::Tensor scale{};        ///< [O] float64
  at::Tensor shift{};        ///< [O] float64
  std::vector<AddedConstant> constants{};  ///< that nothing else uses, and that may therefore move
  /// The node adds what is not one number an output (a matrix, or what data decides): the dense value behind it is then no target of
  /// the weights, and their own output on the pruned network's input is. Nothing behind the node is followed.
  bool adds_unknown = false;

  // BatchNormalization right behind the layer whose statistics nothing else uses; -1: none.
  int mean_id = -1;
  int variance_id = -1;
  at::Tensor norm_shift{};  ///< [O] float64: constants between z and it

  // Products: where x and z have their features.
  bool weight_on_left = false;
  bool transposed_input = false;  ///< Gemm's transA
  double alpha = 1;               ///< Gemm's
};

/// Follows the weight to its use. The result of BatchNormalization and biases is read from the parameters as they are.
/// throws nothing: `reason` says why the layer cannot be corrected, such as `used by 2 nodes`; "" when it can
LinearSite find_site(const Program& program, const PrunableTensor& tensor, std::string& reason);

/// Leaves the shortcut out: the target is the value in front of the Add.
void ignore_shortcut(LinearSite& site);

/// The steps that a value depends on.
std::set<size_t> ancestors(const Plan& plan, int slot);

/// The stored weight as [O, columns] float64 (a row = one output; columns in the order of site_columns) and back.
at::Tensor to_matrix(const LinearSite& site, const at::Tensor& stored);
/// Any type, any layout of the matrix; the result is contiguous in the stored layout.
at::Tensor from_matrix(const LinearSite& site, const at::Tensor& matrix);

/// Inputs of the linear map, one column a sample and position: [groups, columns, samples], in the type of `input`.
at::Tensor site_columns(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape);
/// The same without forming columns, for Conv: z of weights [O, columns], and t x^T for t in the shape of the output.
at::Tensor site_convolve(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape,
                         const at::Tensor& weights);
at::Tensor site_weight_gradient(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape,
                                const at::Tensor& target);
/// Shape of the layer's output for this input; empty for products, which do not need it.
std::vector<int64_t> output_shape(const LinearSite& site, const Step& step, const at::Tensor& input);
/// A value at the layer's output as rows: [O, samples], in the order of site_columns.
at::Tensor site_rows(const LinearSite& site, const at::Tensor& output);

}  // namespace sparsify
