#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/record.h"

namespace mr::cli {

/// Which records `sub` and `tail` show: all conditions must hold.
class RecordFilter {
 public:
  /// Each "FIELD=TEXT" (is), "FIELD!=TEXT" (is not), "FIELD~TEXT" (contains) or "FIELD!~TEXT" (does not); FIELD is key,
  /// value or header.NAME. Errors: invalid_argument.
  static Result<RecordFilter> parse(const std::vector<std::string>& texts);

  /// A missing or null field is and contains nothing. Of headers of one name one is enough.
  bool passes(const Record& record) const;

 private:
  enum class Field { key, value, header };
  struct Condition {
    Field field;
    std::string header;
    bool contains = false;
    bool negated = false;
    std::string text;
    bool met_by(const std::optional<ByteView>& bytes) const;
  };
  std::vector<Condition> conditions_;
};

}  // namespace mr::cli
