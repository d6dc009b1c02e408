#include "data/text/bert_words.h"

#include <fmt/core.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace sparsify {
namespace {

constexpr UChar32 kReplacement = 0xFFFD;

/// Calls `use` for each code point; U+FFFD for bytes that are no character.
template <class Use>
void for_each_character(std::string_view text, const Use& use) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int64_t>(text.size());
  for (int64_t at = 0; at < size;) {
    UChar32 character = 0;
    U8_NEXT_OR_FFFD(bytes, at, size, character);
    use(character);
  }
}

void append(UChar32 character, std::string& text) {
  if (character < 0x80) {
    text.push_back(static_cast<char>(character));
    return;
  }
  uint8_t bytes[U8_MAX_LENGTH];
  int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, character);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

bool is_space(UChar32 character) {
  if (character < 0x80) return character == ' ' || character == '\t' || character == '\n' || character == '\r';
  constexpr UChar32 kNextLine = 0x85;  // a control character, which counts more
  return character != kNextLine && u_isUWhiteSpace(character);
}

/// Called after is_space: tabs and line ends are control characters, too. Code points without a character stay.
bool is_dropped(UChar32 character) {
  if (character < 0x80) return character < 0x20 || character == 0x7F;
  constexpr uint32_t kDropped = U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK | U_GC_CS_MASK;
  return character == kReplacement || (U_GET_GC_MASK(character) & kDropped) != 0;
}

bool is_punctuation(UChar32 character) {
  if (character < 0x80) {
    return (character >= 33 && character <= 47) || (character >= 58 && character <= 64) ||
           (character >= 91 && character <= 96) || (character >= 123 && character <= 126);
  }
  return (U_GET_GC_MASK(character) & U_GC_P_MASK) != 0;
}

/// The blocks of Chinese characters that BERT names; Japanese and Korean letters are not among them.
bool is_chinese(UChar32 c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) ||
         (c >= 0x2B820 && c <= 0x2CEAF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

std::string cleaned(std::string_view text) {
  std::string clean;
  clean.reserve(text.size() + 16);
  for_each_character(text, [&](UChar32 character) {
    if (is_space(character)) {
      clean.push_back(' ');
    } else if (is_chinese(character)) {
      clean.push_back(' ');
      append(character, clean);
      clean.push_back(' ');
    } else if (!is_dropped(character)) {
      append(character, clean);
    }
  });
  return clean;
}

std::string decomposed(const std::string& text) {
  UErrorCode code = U_ZERO_ERROR;
  const icu::Normalizer2* form = icu::Normalizer2::getNFDInstance(code);
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  if (U_SUCCESS(code)) form->normalizeUTF8(0, text, sink, nullptr, code);
  if (U_FAILURE(code)) {
    throw ResourceError{{.what = fmt::format("text cannot be decomposed: ICU says {}", u_errorName(code)),
                         .where = "",
                         .fix = "install ICU with its data (Debian: libicu72)"}};
  }
  return result;
}

}  // namespace

std::string bert_words(std::string_view text, bool lowercase) {
  std::string clean = cleaned(text);
  const bool has_accents = lowercase && !is_ascii(clean);
  if (has_accents) clean = decomposed(clean);

  std::string words;
  words.reserve(clean.size() + 16);
  bool begins = false;  // the next character is the first of a word that is not the first one
  for_each_character(clean, [&](UChar32 character) {
    if (has_accents && u_charType(character) == U_NON_SPACING_MARK) return;
    if (lowercase) character = u_tolower(character);
    const bool stands_alone = is_punctuation(character);
    if (is_space(character) || stands_alone) begins = !words.empty();
    if (is_space(character)) return;
    if (begins) words.push_back(' ');
    append(character, words);
    begins = stands_alone;
  });
  return words;
}

bool is_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int64_t>(text.size());
  for (int64_t at = 0; at < size;) {
    UChar32 character = 0;
    U8_NEXT(bytes, at, size, character);
    if (character < 0) return false;
  }
  return true;
}

int64_t count_characters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

std::string unicode_library() { return "ICU " U_ICU_VERSION; }

}  // namespace sparsify
