#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "onnx/checker.h"
#include "structure/labels.h"
#include "structure/structure.h"

namespace sparsify {

/// Where an integer of shape arithmetic comes from, so that it can be made to count what remains.
struct Expression {
  enum class Kind { Constant, Length, Product, Quotient, Other };

  Kind kind = Kind::Other;
  int64_t value = 0;
  int tensor_id = -1;              ///< Constant: of this stored tensor ...
  const Node* node = nullptr;      ///< ... or of this node's attribute; neither: made up in the graph
  std::string attribute{};
  int64_t element = 0;
  const FlatNode* reader = nullptr;  ///< Constant, stored: the node that reads the tensor
  Axis axis{};                     ///< Length: of this axis
  std::vector<std::shared_ptr<const Expression>> parts{};  ///< Product, Quotient: two; Other: what it depends on
};
using ExpressionPtr = std::shared_ptr<const Expression>;

/// A number in an attribute of a node; without a node: made up in the graph.
ExpressionPtr constant_number(int64_t value, const Node* node = nullptr, const std::string& attribute = "", size_t element = 0);
ExpressionPtr stored_number(int64_t value, int tensor_id, size_t element);
ExpressionPtr read_by(const ExpressionPtr& stored, const FlatNode& reader);
/// It does not change from one run to the next: it is made of constants and of lengths that weights or the model's inputs state.
bool is_static(const Expression& expression);
ExpressionPtr length_of(const Axis& axis);
ExpressionPtr expression_of(Expression::Kind kind, int64_t value, std::vector<ExpressionPtr> parts);
std::vector<ExpressionPtr> attribute_numbers(const Node& node, const std::string& attribute);

/// What is known of one value.
struct LabelledValue {
  bool known = false;            ///< its rank
  std::vector<Axis> axes{};
  /// Per axis: removed slices are exactly zero in the masked model.
  std::vector<char> zero{};
  /// Elements of an integer tensor of at most one axis, in shape arithmetic.
  std::optional<std::vector<ExpressionPtr>> integers{};
  int stored = -1;               ///< index into FlatGraph::tensors
  bool all_zero = false;         ///< every element is zero, whatever its shape
  std::optional<float> number{};  ///< of a Constant node
  bool floating = false;         ///< `integers` are held as floating-point numbers
  bool is_sequence = false;      ///< of tensors whose number and order the graph states; then `axes` is empty
  std::vector<LabelledValue> items{};

  int rank() const { return static_cast<int>(axes.size()); }
};

/// Labels and zeros of another value's axes, and nothing else of it.
inline LabelledValue with_axes_of(const LabelledValue& value) { return {.known = true, .axes = value.axes, .zero = value.zero}; }

/// The state of one walk over the graph, and what rules work with: the current node's operands and results.
class Analysis {
 public:
  Analysis(const ModelFile& file, const StructureOptions& options);
  void run();

  // The current node.
  const FlatNode& flat() const { return *node_; }
  const Node& node() const { return *node_->node; }
  bool has(size_t input) const { return input < node_->inputs.size() && !node_->inputs[input].empty(); }
  const LabelledValue& in(size_t input) const;
  void out(size_t output, LabelledValue value);
  /// The input's integers are parameters of the rule (a shape, axes): their lengths do not enter the data.
  const std::vector<ExpressionPtr>* parameter(size_t input);
  /// Values of stored or computed integers of any shape; nullopt: not known.
  std::optional<std::vector<int64_t>> integers(size_t input);
  /// A number that is stored, if it is a single one.
  std::optional<float> number(size_t input) const;
  /// A stored vector of floats; empty if it is none.
  std::vector<float> numbers(size_t input) const;
  /// An attribute of older opsets that is an input of newer ones.
  std::optional<std::vector<int64_t>> attribute_or_input(const std::string& attribute, size_t input);

  /// An anchor that names this node.
  Label because(const std::string& reason, const std::string& fix = "exclude these layers; the rest of the model can be cut");
  Label space() const { return space_; }  ///< batch, time, space: silent
  Axis fixed(int64_t length) const { return labels.fixed(length, space_); }
  /// Index axis from the front.
  static int normal(int64_t axis, int rank) { return static_cast<int>(axis < 0 ? axis + rank : axis); }

  /// An integer operand that is absent or stored as nothing but zeros.
  bool is_zero(size_t input);
  /// The stored tensor is cut but not masked.
  void passive(size_t input);
  /// These indices are independent parts of an attention product.
  void mark_heads(const Axis& axis);
  /// `input`: of the current node, where the number stands; it is pinned if it is computed from nothing that a run changes.
  void count(const ExpressionPtr& number, const Axis& line, int64_t first, int64_t last, int64_t sign = 1, int input = -1, int64_t element = 0);
  void count_attribute(const std::string& name, int64_t value, const Axis& line, int64_t element = 0);
  void count_attribute(const std::string& name, int64_t element, int64_t value, const Axis& line, int64_t first, int64_t last, int64_t sign);
  /// The expression is the length of this axis and must stay so.
  void bind(const ExpressionPtr& expression, const Axis& axis);
  /// Lengths that stand in the expression stay as they are.
  void freeze_lengths(const ExpressionPtr& expression, Label anchor);
  /// The first output of the node divides by the length of this axis, see Rescale. False (nothing is noted) where no node can be
  /// put behind it: in a function or a body, or an output whose type is not known.
  bool rescale(const Axis& line, double power, float epsilon = 0);
  /// The node multiplies by 1 / sqrt(length of this axis) unless its attribute `scale` says otherwise: it will. False where rescale() is.
  bool state_scale(const Axis& line);
  /// Makes an operand of the current node a constant; -1 if that cannot be: in a function or a body, or an odd type.
  int pin(size_t input, const std::vector<int64_t>& numbers);
  /// The pin changes with this axis.
  void pin_moves(int pin, const Axis& line);
  /// The element counts all of the line.
  void count_pinned(int pin, int64_t element, const Axis& line);

  /// All axes of the input stay, but for those listed (negative ones count from the end): of batch, time and space its rule says nothing.
  void hold_others(size_t input, std::initializer_list<int> moving);
  /// All inputs freeze; outputs are what shape inference says.
  void freeze_all(const std::string& reason, const std::string& fix);
  /// The output with fixed axes of the inferred lengths, unknown if inference does not know.
  LabelledValue inferred(size_t output) const;

  const ModelFile& file;
  StructureOptions options;
  FlatGraph graph;
  Labels labels;
  std::unordered_map<std::string, LabelledValue> values;
  std::vector<std::string> value_order;          ///< activations, in node order
  std::map<int, std::vector<Axis>> tensor_axes;  ///< by tensor id
  std::set<int> passive_tensors;
  std::vector<Label> heads;
  std::vector<Axis> lines;
  std::vector<Count> counts;
  std::vector<Rescale> rescales;
  std::vector<Pin> pins;

 private:
  void add_inputs();
  void add_tensors();
  void visit(const FlatNode& flat);
  void freeze_nested(const FlatNode& flat);
  /// A body of an If, Loop or Scan, by what the labels of its nodes start with.
  struct Body {
    const FlatNode* owner = nullptr;  ///< null: several nodes have this name
    const Graph* graph = nullptr;
    std::string attribute{};
  };
  /// Where a node of a body stands: in branches that every run takes, in one that none takes, or that is not known.
  enum class Place { Undecided, Taken, Skipped };

  void find_bodies();
  /// The condition of an If that is the same in every run.
  std::optional<bool> decided(const FlatNode& flat) const;
  Place place_of(const FlatNode& flat) const;
  void hold_in_branch(const FlatNode& flat);
  /// The results of a decided If are those of its branch.
  bool take_branch(const FlatNode& flat);
  void apply_rule(const std::string& key);

  /// A value and, of a sequence, its elements.
  void freeze_value(const LabelledValue& value, const std::function<Label()>& anchor);
  /// The operand whose rank is not known, and which node left it open; "" if all are known.
  std::string unknown_operand() const;
  void check_output(size_t output, LabelledValue& value);
  void freeze_outputs();
  void reconcile_counts();

  void keep_lengths(size_t input);

  const FlatNode* node_ = nullptr;
  std::map<std::string, ValueInfo> shapes_;
  std::map<std::string, int> uses_;
  std::set<size_t> parameters_;
  std::map<std::string, Body> bodies_;
  std::map<std::string, std::string> unknown_;  ///< values without a rank -> the node that is to blame
  Label space_ = -1;
};

using Rule = std::function<void(Analysis&)>;
using RuleTable = std::map<std::string, Rule>;

/// One function a family; keys are operator types (`com.microsoft.Attention` for other domains).
void add_elementwise_rules(RuleTable& table);
void add_product_rules(RuleTable& table);
void add_convolution_rules(RuleTable& table);
void add_normalization_rules(RuleTable& table);
void add_movement_rules(RuleTable& table);
void add_reshape_rules(RuleTable& table);
void add_selection_rules(RuleTable& table);
void add_reduction_rules(RuleTable& table);
void add_recurrent_rules(RuleTable& table);
void add_attention_rules(RuleTable& table);
void add_quantization_rules(RuleTable& table);
void add_sampling_rules(RuleTable& table);
void add_scatter_rules(RuleTable& table);
void add_sequence_rules(RuleTable& table);
void add_transformer_rules(RuleTable& table);
void add_state_rules(RuleTable& table);
void add_held_rules(RuleTable& table);

/// Whether an operator of this name (`com.microsoft.Attention`) has a rule.
bool has_rule(const std::string& key);

/// Shape arithmetic of the current node on known integers; false if it is none.
bool evaluate_integers(Analysis& analysis);

/// Whether an activation that a fused operator names maps 0 to 0.
bool maps_zero_to_zero(const std::string& activation);

/// The parts one behind the other along the node's `axis`, as its first output. At least one part.
void concatenate(Analysis& analysis, const std::vector<const LabelledValue*>& parts);

/// Merges the axes of broadcast operands from the right; `zero` of the result is left all false.
LabelledValue broadcast(Analysis& analysis, const std::vector<const LabelledValue*>& operands);

}  // namespace sparsify
