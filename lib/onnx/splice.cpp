#include "onnx/splice.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"

namespace sparsify {

Splice replace_bytes(size_t begin, size_t end, int frame, std::string bytes) {
  Splice splice{begin, end, frame, bytes.size(), nullptr};
  splice.emit = [text = std::move(bytes)](const Sink& sink) {
    sink(std::as_bytes(std::span(text.data(), text.size())));
  };
  return splice;
}

std::vector<Splice> with_length_prefixes(const std::vector<Frame>& frames,
                                         std::vector<Splice> splices) {
  std::vector<int64_t> growth(frames.size(), 0);
  for (const Splice& splice : splices) {
    if (splice.frame < 0) continue;
    growth[splice.frame] +=
        static_cast<int64_t>(splice.size) - static_cast<int64_t>(splice.end - splice.begin);
  }
  // Children have larger numbers than their parents, so each is final when its turn comes.
  for (int index = static_cast<int>(frames.size()) - 1; index >= 0; --index) {
    if (growth[index] == 0) continue;
    const Frame& frame = frames[index];
    std::string prefix;
    wire::append_varint(prefix, frame.end - frame.payload + growth[index]);
    const int64_t prefix_growth =
        static_cast<int64_t>(prefix.size()) - static_cast<int64_t>(frame.payload - frame.length);
    if (frame.parent >= 0) growth[frame.parent] += growth[index] + prefix_growth;
    splices.push_back(replace_bytes(frame.length, frame.payload, frame.parent, std::move(prefix)));
  }
  std::stable_sort(splices.begin(), splices.end(), [](const Splice& a, const Splice& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  return splices;
}

int64_t spliced_size(size_t size, const std::vector<Splice>& splices) {
  auto result = static_cast<int64_t>(size);
  for (const Splice& splice : splices) {
    result += static_cast<int64_t>(splice.size) - static_cast<int64_t>(splice.end - splice.begin);
  }
  return result;
}

void emit_bytes(std::span<const std::byte> bytes, const Sink& sink) {
  constexpr size_t piece = size_t{1} << 20;
  for (; bytes.size() > piece; bytes = bytes.subspan(piece)) sink(bytes.first(piece));
  if (!bytes.empty()) sink(bytes);
}

void emit_spliced(std::span<const std::byte> file, const std::vector<Splice>& splices,
                  const Sink& sink) {
  size_t position = 0;
  for (const Splice& splice : splices) {
    invariant(splice.begin >= position && splice.end <= file.size(), "splices do not overlap");
    emit_bytes(file.subspan(position, splice.begin - position), sink);
    splice.emit(sink);
    position = splice.end;
  }
  emit_bytes(file.subspan(position), sink);
}

std::string spliced_text(std::span<const std::byte> file, const std::vector<Frame>& frames,
                         std::vector<Splice> splices) {
  std::string text;
  emit_spliced(file, with_length_prefixes(frames, std::move(splices)),
               [&](std::span<const std::byte> bytes) {
                 text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
               });
  return text;
}

}  // namespace sparsify
