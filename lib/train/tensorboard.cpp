// TensorBoard's event files, encoded by hand: three messages do not need TensorFlow.
// Framing: tensorflow/core/lib/io/record_writer.h (uint64 length, masked CRC-32C of it, data, masked CRC-32C of the data).
// Messages: tensorflow/core/util/event.proto (wall_time 1, step 2, file_version 3, summary 5) and summary.proto
// (Summary.value 1; Value.tag 1, simple_value 2).
#include <array>
#include <bit>
#include <cstring>

#include "train/curve_points.h"

namespace sparsify {
namespace {

/// Castagnoli's polynomial, reflected.
constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
    table[i] = value;
  }
  return table;
}

uint32_t masked_crc(const std::string& bytes) {
  static constexpr std::array<uint32_t, 256> kTable = make_table();
  uint32_t crc = ~0U;
  for (const char byte : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFFU] ^ (crc >> 8);
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;
}

template <class T>
std::string little_endian(T value) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>((value & 127U) | 128U);
  bytes += static_cast<char>(value);
  return bytes;
}

std::string field(int number, int wire_type) { return varint(static_cast<uint64_t>(number) << 3 | static_cast<uint64_t>(wire_type)); }
std::string text_field(int number, const std::string& text) { return field(number, 2) + varint(text.size()) + text; }

std::string event(double time, int64_t step, const std::string& rest) {
  return field(1, 1) + little_endian(time) + field(2, 0) + varint(static_cast<uint64_t>(step)) + rest;
}

std::string scalar(double time, int64_t step, const std::string& tag, double value) {
  const std::string one = text_field(1, tag) + field(2, 5) + little_endian(static_cast<float>(value));
  return event(time, step, text_field(5, text_field(1, one)));
}

std::string record(const std::string& data) {
  const std::string length = little_endian(static_cast<uint64_t>(data.size()));
  return length + little_endian(masked_crc(length)) + data + little_endian(masked_crc(data));
}

}  // namespace

std::string event_beginning(double time) { return record(event(time, 0, text_field(3, "brain.Event:2"))); }

std::string step_events(const TrainRow& row) {
  return record(scalar(row.time, row.step, "loss", row.loss)) + record(scalar(row.time, row.step, "lr", row.lr)) +
         record(scalar(row.time, row.step, "sparsity", row.sparsity));
}

std::string epoch_events(const TrainRow& row, const std::string& metric) {
  std::string events = record(scalar(row.time, row.step, "epoch/loss", row.loss));
  if (row.metric) events += record(scalar(row.time, row.step, "epoch/" + metric, *row.metric));
  return events;
}

std::string to_tensorboard(const TrainHistory& history) {
  const double start = !history.steps.empty() ? history.steps.front().time : !history.epochs.empty() ? history.epochs.front().time : 0;
  std::string file = event_beginning(start);
  for (const TrainRow& row : history.steps) file += step_events(row);
  for (const TrainRow& row : history.epochs) file += epoch_events(row, history.metric);
  return file;
}

}  // namespace sparsify
