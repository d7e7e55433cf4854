#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "client/read.h"

namespace mr::cli {

/// A printf-like format of `sub`, compiled once.
class RecordFormat {
 public:
  /// Errors: invalid_argument (unknown letter; the sentence lists them).
  static Result<RecordFormat> compile(std::string_view text);
  void append(std::string& out, std::string_view topic, PartitionIndex partition,
              const client::Fetched::Item& item) const;

 private:
  struct Piece {
    char letter = 0;  ///< 0: `text` as it is
    std::string text;
  };
  std::vector<Piece> pieces_;
};

/// One record as one line of JSON. Keys and values that are no UTF-8 come as key_base64 and value_base64.
void append_record_json(std::string& out, std::string_view topic, PartitionIndex partition,
                        const client::Fetched::Item& item);

/// One record as a line for people: when, where, key and value; control characters are escaped.
void append_record_line(std::string& out, std::string_view topic, PartitionIndex partition,
                        const client::Fetched::Item& item);

}  // namespace mr::cli
