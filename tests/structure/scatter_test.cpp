#include "structure/sample.h"

using namespace sparsify;

using Indices = std::vector<int64_t>;

TEST_CASE("ScatterElements goes index by index along the axes that its indices do not address", "[structure][scatter]") {
  const auto sample = [](const std::string& axis, const std::string& data) {
    return GraphSample{.inputs = "float[5,3] x, int64[4,6] to", .outputs = "float[5,2] y", .weights = {{"a", {3, 6}}, {"m", {4, 6}}, {"d", {6, 2}}},
                       .nodes = "h = MatMul (x, a) z = " + data + " s = ScatterElements <axis = " + axis + "> (z, to, m) y = MatMul (s, d)",
                       .constants = "float zero = {0}", .opset = 18};
  };
  const Structure s = analysed(sample("0", "Relu (h)"));
  // The indices are an input of the model: they hold what they are given for.
  CHECK_FALSE(group_of(s, "a", 1).is_cuttable());

  const Structure expanded = analysed({.inputs = "float[5,3] x, int64[4,1] to", .outputs = "float[5,2] y", .weights = {{"a", {3, 6}}, {"m", {4, 6}}, {"d", {6, 2}}},
                                       .nodes = "h = MatMul (x, a) i = Expand (to, wide) s = ScatterElements <axis = 0> (h, i, m) y = MatMul (s, d)",
                                       .constants = "int64[2] wide = {4, 6}", .opset = 18});
  const Group& width = group_of(expanded, "a", 1);
  CHECK(width.is_cuttable());
  CHECK(members_of(width) == "a:1 d:0 m:1");
  REQUIRE(expanded.counts().size() == 1);
  CHECK(expanded.counts()[0].element == 1);
  CHECK(expanded.count(expanded.counts()[0], without(expanded, width, {0, 3})) == 4);

  // Addressed along the channels, or of fewer of them, nothing goes.
  const Structure addressed = analysed({.inputs = "float[5,3] x, int64[1,6] to", .outputs = "float[5,2] y", .weights = {{"a", {3, 6}}, {"m", {5, 6}}, {"d", {6, 2}}},
                                        .nodes = "h = MatMul (x, a) i = Expand (to, wide) s = ScatterElements <axis = 1> (h, i, m) y = MatMul (s, d)",
                                        .constants = "int64[2] wide = {5, 6}", .opset = 18});
  CHECK_FALSE(group_of(addressed, "a", 1).is_cuttable());
  CHECK(group_of(addressed, "a", 1).frozen.at(0).reason == "it writes along this axis");
  const Structure fewer = analysed({.inputs = "float[5,3] x, int64[4,1] to", .outputs = "float[5,2] y", .weights = {{"a", {3, 6}}, {"m", {4, 5}}, {"d", {6, 2}}},
                                    .nodes = "h = MatMul (x, a) i = Expand (to, wide) s = ScatterElements <axis = 0> (h, i, m) y = MatMul (s, d)",
                                    .constants = "int64[2] wide = {4, 5}", .opset = 18});
  CHECK_FALSE(group_of(fewer, "a", 1).is_cuttable());
}

TEST_CASE("what ScatterElements writes is zero only where data and updates are", "[structure][scatter][zero]") {
  // Behind it a sum over the channels, which only zeros may leave.
  const auto cuttable = [](const std::string& updates, const std::string& reduction) {
    const Structure s = analysed({.inputs = "float[5,3] x, int64[5,1] to", .outputs = "float[5,1] y", .weights = {{"a", {3, 6}}, {"b", {3, 6}}},
                                  .nodes = "h = MatMul (x, a) k = MatMul (x, b) u = " + updates + " (k) i = Expand (to, wide) "
                                           "s = ScatterElements <axis = 0, reduction = \"" + reduction + "\"> (h, i, u) y = ReduceSum <keepdims = 1> (s, one)",
                                  .constants = "int64[2] wide = {5, 6}, int64[1] one = {1}", .opset = 18});
    return group_of(s, "a", 1).is_cuttable();
  };
  CHECK(cuttable("Relu", "none"));
  CHECK(cuttable("Relu", "add"));
  CHECK_FALSE(cuttable("Sigmoid", "none"));
  CHECK_FALSE(cuttable("Sigmoid", "add"));
  CHECK(cuttable("Sigmoid", "mul"));  // 0 * 0.5
}

TEST_CASE("ScatterND holds the axes that its indices address and passes the others", "[structure][scatter]") {
  const auto sample = [](const std::string& indices, const Shape& updates) {
    return GraphSample{.inputs = "float[5,3] x, " + indices + " at", .outputs = "float[5,2] y", .weights = {{"a", {3, 6}}, {"m", updates}, {"d", {6, 2}}},
                       .nodes = "h = MatMul (x, a) s = ScatterND (h, at, m) y = MatMul (s, d)", .opset = 18};
  };
  const Structure rows = analysed(sample("int64[2,1]", {2, 6}));
  CHECK(members_of(group_of(rows, "a", 1)) == "a:1 d:0 m:1");
  CHECK(group_of(rows, "a", 1).is_cuttable());
  CHECK_FALSE(group_of(analysed(sample("int64[2,2]", {2})), "a", 1).is_cuttable());
}

TEST_CASE("an assignment to stored positions goes with the channels that it writes to, and the numbers move", "[structure][scatter]") {
  const auto sample = [](const std::string& at) {
    return GraphSample{.inputs = "float[1,3,4] x", .outputs = "float[1,2,4] y", .weights = {{"a", {6, 3, 1}}, {"b", {3, 3, 1}}, {"d", {2, 6, 1}}},
                       .nodes = "h = Conv (x, a) k = Conv (x, b) s = ScatterND (h, at, k) y = Conv (s, d)", .constants = at, .opset = 18};
  };
  const Structure s = analysed(sample("int64[1,3,2] at = {0, 5, 0, 1, 0, 2}"));
  const Group& channels = group_of(s, "d", 1);
  CHECK(channels.units == 6);
  CHECK(channels.is_cuttable());
  CHECK(member_of(channels, "a", 0).indices[5] == Indices{5});
  CHECK(member_of(channels, "b", 0).indices[5] == Indices{0});
  CHECK(member_of(channels, "b", 0).indices[0].empty());
  CHECK(member_of(channels, "at", 1).indices[2] == Indices{2});
  const Removed first = without(s, channels, {0, 2});
  for (const Count& count : s.counts()) {
    if (count.value == 5) CHECK(s.count(count, first) == 3);  // 1, 3, 4 stand in front of it
    if (count.value == 1) CHECK(s.count(count, first) == 0);
  }
  // A number that changes along two axes says nothing about either.
  const Structure mixed = analysed({.inputs = "float[2,3,4] x", .outputs = "float[2,2,4] y", .weights = {{"a", {6, 3, 1}}, {"b", {3, 3, 1}}, {"d", {2, 6, 1}}},
                                    .nodes = "h = Conv (x, a) k = Conv (x, b) s = ScatterND (h, at, k) y = Conv (s, d)",
                                    .constants = "int64[2,3,2] at = {0, 0, 0, 1, 0, 2, 1, 3, 1, 4, 1, 5}", .opset = 18});
  CHECK_FALSE(group_of(mixed, "d", 1).is_cuttable());
}

TEST_CASE("an optimised BERT keeps its width, and its heads and inner channels can go", "[structure][attention]") {
  const std::string model = text_of({.inputs = "int32[1,4] ids", .outputs = "float[1,4,2] y",
                                     .weights = {{"words", {7, 6}}, {"places", {5, 6}}, {"g", {6}}, {"b", {6}}, {"w", {6, 18}}, {"wb", {18}}, {"o", {6, 6}}, {"u", {6, 10}}, {"d", {10, 2}}},
                                     .nodes = "e, lengths = com.microsoft.EmbedLayerNormalization (ids, , words, places, , g, b) "
                                              "h = com.microsoft.Attention <num_heads = 2> (e, w, wb, lengths) t = MatMul (h, o) n = Add (t, e) "
                                              "f = MatMul (n, u) q = Relu (f) y = MatMul (q, d)"});
  const TextModel text(std::string(model).replace(model.find("]>"), 2, ", \"com.microsoft\": 1]>"));
  const Structure s = Structure::analyse(text.load());
  CHECK_FALSE(group_of(s, "words", 1).is_cuttable());
  CHECK(group_of(s, "words", 1).frozen.at(0).op == "EmbedLayerNormalization");
  const Group& heads = group_of(s, "w", 1, "head");
  CHECK(heads.units == 2);
  CHECK(heads.is_cuttable());
  CHECK(member_of(heads, "w", 1).indices[1] == Indices{3, 4, 5, 9, 10, 11, 15, 16, 17});
  CHECK(members_of(group_of(s, "u", 1)) == "d:0 u:1");
  CHECK(group_of(s, "u", 1).is_cuttable());
}

TEST_CASE("equal parts of a sequence keep equal lengths, and their stated length counts them", "[structure][sequence]") {
  const Structure s = analysed({.inputs = "float[1,4,3] x", .outputs = "float[1,4,2] y", .weights = {{"a", {3, 8}}, {"d", {4, 2}}},
                                .nodes = "h = MatMul (x, a) s = SplitToSequence <axis = 2> (h, four) g = SequenceAt (s, one) y = MatMul (g, d)",
                                .constants = "int64 four = {4}, int64 one = {1}"});
  const Group& parts = group_of(s, "d", 0);
  CHECK(parts.units == 4);
  CHECK(member_of(parts, "a", 1).indices[1] == Indices{1, 5});
  REQUIRE(s.counts().size() == 1);
  CHECK(s.count(s.counts()[0], without(s, parts, {1})) == 3);

  const Structure listed = analysed({.inputs = "float[1,4,3] x", .outputs = "float[1,4,2] y", .weights = {{"a", {3, 8}}, {"d", {3, 2}}},
                                     .nodes = "h = MatMul (x, a) s = SplitToSequence <axis = 2> (h, sizes) g = SequenceAt (s, last) y = MatMul (g, d)",
                                     .constants = "int64[2] sizes = {5, 3}, int64 last = {-1}"});
  const Group& taken = group_of(listed, "d", 0);
  CHECK(taken.units == 8);
  CHECK(member_of(taken, "a", 1).indices[7] == Indices{7});
  CHECK(member_of(taken, "d", 0).indices[7] == Indices{2});
  CHECK(member_of(taken, "d", 0).indices[4].empty());
}

TEST_CASE("what a run chooses from a sequence holds all of its elements", "[structure][sequence]") {
  const Structure s = analysed({.inputs = "float[1,4,3] x, int64 at", .outputs = "float[1,4,2] y", .weights = {{"a", {3, 4}}, {"b", {3, 4}}, {"d", {4, 2}}},
                                .nodes = "h = MatMul (x, a) k = MatMul (x, b) s = SequenceConstruct (h, k) g = SequenceAt (s, at) y = MatMul (g, d)"});
  CHECK_FALSE(group_of(s, "a", 1).is_cuttable());
  CHECK_FALSE(group_of(s, "b", 1).is_cuttable());
  CHECK(group_of(s, "a", 1).frozen.at(0).op == "SequenceAt");
}

TEST_CASE("a shape that is not known before run time names the node that leaves it open", "[structure]") {
  const Structure s = analysed({.inputs = "float[1,3] x, int64 n, bool go", .outputs = "float y",
                                .weights = {{"a", {3, 4}}, {"b", {4, 2}}},
                                .nodes = "h = MatMul (x, a) i = Relu (h) r = Loop (n, go, i) <body = graph (int64 k, bool c, float z) => (bool c2, float z2)"
                                         " { c2 = Identity (c) z2 = Add (z, z) }> y = MatMul (r, b)"});
  const Group& group = group_of(s, "b", 0);
  CHECK_FALSE(group.is_cuttable());
  REQUIRE_FALSE(group.frozen.empty());
  CHECK(group.frozen[0].reason.find("(Loop) leaves it open") != std::string::npos);
}
