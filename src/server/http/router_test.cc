// Routes: the most specific pattern wins, values are decoded after the path is split, other methods are listed.
#include "server/http/router.h"

#include <gtest/gtest.h>

namespace mr::http {
namespace {

class Router : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* pattern : {"/", "/topics", "/topics/{name}", "/topics/special", "/topics/{name}/records/{offset}",
                                "/console/{rest...}"}) {
      add("GET", pattern);
    }
    add("POST", "/topics");
    add("DELETE", "/topics/{name}");
  }
  void add(const char* method, std::string pattern) {
    router.add(method, pattern,
               [pattern](HttpRequest&) -> Task<HttpResponse> { co_return HttpResponse::json(pattern); });
  }
  /// "pattern name=value", or "none allowed..."
  std::string find(std::string_view method, std::string_view path) {
    Result<HttpRouter::Match> match = router.find(method, path);
    if (!match.ok()) return std::string(to_string(match.code()));
    std::string out;
    if (match->handler == nullptr) {
      out = "none";
      for (const std::string& m : match->allowed) out += " " + m;
      return out;
    }
    for (const auto& [name, value] : match->values) out += name + "=" + value + " ";
    return out + "found";
  }
  HttpRouter router;
};

TEST_F(Router, Finds) {
  EXPECT_EQ(find("GET", "/"), "found");
  EXPECT_EQ(find("GET", "/topics"), "found");
  EXPECT_EQ(find("HEAD", "/topics"), "found");
  EXPECT_EQ(find("GET", "/topics/special"), "found") << "text beats a value";
  EXPECT_EQ(find("GET", "/topics/a"), "name=a found");
  EXPECT_EQ(find("GET", "/topics/a%2Fb/records/7"), "name=a/b offset=7 found");
  EXPECT_EQ(find("GET", "/console/js/app.js"), "rest=js/app.js found");
  EXPECT_EQ(find("GET", "/console/"), "rest= found");
}

TEST_F(Router, FindsNot) {
  EXPECT_EQ(find("GET", "/topic"), "none");
  EXPECT_EQ(find("GET", "/topics/"), "none") << "a value is not empty";
  EXPECT_EQ(find("GET", "/topics/a/b"), "none");
  EXPECT_EQ(find("GET", "//"), "none");
  EXPECT_EQ(find("PUT", "/topics"), "none GET POST");
  EXPECT_EQ(find("POST", "/topics/a"), "none GET DELETE");
  EXPECT_EQ(find("GET", "/topics/%zz"), "malformed");
  EXPECT_EQ(find("GET", "/topics/%4"), "malformed");
}

}  // namespace
}  // namespace mr::http
