#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "model/batch_header.h"
#include "model/varint.h"

namespace mr {

/// One header of a record. The key is never null.
struct RecordHeader {
  std::string_view key;
  std::optional<ByteView> value;
};

/// One record of a batch, views into the batch (or into what it was inflated to). Layout: docs/formats/record-batch.md.
struct Record {
  std::int64_t timestamp_delta = 0;  ///< to the batch's base timestamp
  std::int32_t offset_delta = 0;     ///< to the batch's base offset
  std::optional<ByteView> key;
  std::optional<ByteView> value;  ///< null is a tombstone on compacted topics
  std::int32_t headers_count = 0;
  ByteView headers;  ///< as stored; walk with HeaderReader
};

/// Walks the headers of a record that came out of a RecordReader (which has checked them).
class HeaderReader {
 public:
  explicit HeaderReader(const Record& record)
      : at_(record.headers.data()), end_(at_ + record.headers.size()), left_(record.headers_count) {}
  bool next(RecordHeader& header);

 private:
  const std::byte* at_;
  const std::byte* end_;
  std::int32_t left_;
};

/// Walks the uncompressed records of one batch: `records` is everything behind the 61 header bytes (inflated when the
/// batch is compressed), `count` what the header promises. Every length is checked against the bytes left; takes no
/// memory.
///   RecordReader in(records, header.records_count);
///   Record record;
///   while (in.next(record)) ...
///   if (!in.ok()) ... in.index() is the record at fault, in.problem() says why
class RecordReader {
 public:
  RecordReader(ByteView records, std::int32_t count) : at_(records.data()), end_(at_ + records.size()), count_(count) {}

  /// False after the last record and at the first bad one. The last record must end where the bytes end.
  bool next(Record& record);
  bool ok() const { return problem_ == nullptr; }
  const char* problem() const { return problem_; }
  /// Records handed out so far, which is the index of the one that next() looks at.
  std::int32_t index() const { return index_; }

 private:
  bool fail(const char* why) {
    problem_ = why;
    return false;
  }
  bool headers_fit(const std::byte* end, std::int32_t count);

  const std::byte* at_;
  const std::byte* end_;
  std::int32_t count_;
  std::int32_t index_ = 0;
  const char* problem_ = nullptr;
};

/// One batch in a buffer of batches.
struct BatchView {
  BatchHeader header;
  ByteView bytes;  ///< header included
  ByteView records() const { return bytes.subspan(BatchHeader::kBytes); }
};

/// Walks the batches of a buffer, as a Fetch answer or a segment has them. The last may be cut.
///   BatchReader in(bytes);
///   BatchView batch;
///   while (in.next(batch)) ...
///   in.problem(): empty, or why the bytes from in.position() on are no batch
class BatchReader {
 public:
  explicit BatchReader(ByteView bytes) : bytes_(bytes) {}

  /// False at the end, at a cut batch and at bytes that are no batch. Checksums are not looked at.
  bool next(BatchView& batch);
  /// Where the next batch starts; after the end: bytes behind it are a cut batch.
  std::size_t position() const { return position_; }
  const std::optional<Error>& problem() const { return problem_; }

 private:
  ByteView bytes_;
  std::size_t position_ = 0;
  std::optional<Error> problem_;
};

}  // namespace mr
