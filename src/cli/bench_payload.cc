#include "cli/bench_payload.h"

#include <algorithm>
#include <string>

#include "model/batch_builder.h"

namespace mr::cli {

namespace {

constexpr std::size_t kTextBytes = 1 << 20;
constexpr std::uint64_t kWords = 2048;
constexpr std::size_t kReadyBytesMax = 16 << 20;
constexpr std::size_t kReadyMax = 12;
/// What the fields of a record around its value take at most, when it has neither key nor headers.
constexpr std::uint64_t kRecordExtraBytes = 20;

std::string make_word(Rng& random) {
  constexpr std::string_view kConsonants = "bcdfghklmnprstvw", kVowels = "aeiou";
  std::string word;
  for (std::uint64_t syllables = 1 + random.below(4); syllables > 0; --syllables) {
    word += kConsonants[random.below(kConsonants.size())];
    word += kVowels[random.below(kVowels.size())];
    if (random.below(3) == 0) word += kConsonants[random.below(kConsonants.size())];
  }
  return word;
}

}  // namespace

Payload::Payload(Rng& random, std::uint32_t size) : random_(random), size_(size) {
  std::vector<std::string> words;
  for (std::uint64_t i = 0; i < kWords; ++i) words.push_back(make_word(random));
  const std::size_t wanted = std::max<std::size_t>(kTextBytes, 2 * static_cast<std::size_t>(size));
  text_.reserve(wanted + 32);
  while (text_.size() < wanted) {
    // A few words are frequent, most are rare, and now and then there is a number.
    std::string piece = random.below(12) == 0 ? std::to_string(random.below(1'000'000))
                                              : words[random.below(1 + random.below(1 + random.below(kWords)))];
    piece += random.below(10) == 0 ? ", " : " ";
    const ByteView bytes = as_bytes(piece);
    text_.insert(text_.end(), bytes.begin(), bytes.end());
  }
}

ByteView Payload::value() { return ByteView(text_).subspan(random_.below(text_.size() - size_ + 1), size_); }

std::uint32_t records_that_fit(std::uint32_t record_bytes, std::uint64_t batch_bytes) {
  const std::uint64_t room = batch_bytes > BatchHeader::kBytes ? batch_bytes - BatchHeader::kBytes : 0;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(room / (record_bytes + kRecordExtraBytes), 1, 1'000'000));
}

Result<ReadyBatches> ReadyBatches::build(Payload& payload, Codec codec, std::uint32_t records) {
  ReadyBatches ready;
  const std::uint64_t bytes = static_cast<std::uint64_t>(records) * (payload.size() + kRecordExtraBytes);
  const auto count = std::clamp<std::uint64_t>(kReadyBytesMax / bytes, 1, kReadyMax);
  for (std::uint64_t i = 0; i < count; ++i) {
    BatchBuilder builder({.codec = codec});
    for (std::uint32_t n = 0; n < records; ++n) builder.add({.value = payload.value()});
    MR_TRY(std::vector<std::byte> built, builder.build());
    ready.batches_.push_back(std::move(built));
  }
  return ready;
}

ByteView ReadyBatches::next(WallMillis now) {
  std::vector<std::byte>& batch = batches_[at_++ % batches_.size()];
  store_be(batch.data() + BatchHeader::kBaseTimestampAt, now);
  restamp_batch(batch, now, false);
  return ByteView(batch);
}

}  // namespace mr::cli
