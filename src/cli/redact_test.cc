// Aim: no secret leaves the machine in a bundle, and what is none stays readable. Method: names and lines as they
// occur.
#include "cli/redact.h"

#include <gtest/gtest.h>

namespace mr::cli {
namespace {

TEST(Redact, NamesOfSecrets) {
  for (const char* name : {"ssl.keystore.password", "sasl.jaas.config", "ssl.key.password", "ssl.keystore.key",
                           "MILLRACE_SSL_KEYSTORE_PASSWORD", "sasl.oauthbearer.client.credentials.client.secret",
                           "delegation.token.secret.key", "api-key", "Passwd"})
    EXPECT_TRUE(is_secret_name(name)) << name;
  for (const char* name : {"log.dirs", "ssl.keystore.location", "message.max.bytes", "listeners", "node.id", "key"})
    EXPECT_FALSE(is_secret_name(name)) << name;
}

TEST(Redact, Values) {
  EXPECT_EQ(redact_value("ssl.key.password", "hunter2"), "[redacted]");
  EXPECT_EQ(redact_value("log.dirs", "/data/a,/data/b"), "/data/a,/data/b");
  EXPECT_EQ(redact_value("proxy", "http://kate:hunter2@h:1/x"), "http://kate:[redacted]@h:1/x");
}

TEST(Redact, Lines) {
  EXPECT_EQ(redact("a password=hunter2 b"), "a password=[redacted] b");
  EXPECT_EQ(redact(R"({"db_password": "hun\"ter2", "user": "kate"})"),
            R"({"db_password": "[redacted]", "user": "kate"})");
  EXPECT_EQ(redact("token: abc, next"), "token: [redacted], next");
  EXPECT_EQ(redact("Authorization: Bearer abc def\nplain"), "Authorization: [redacted]\nplain");
  EXPECT_EQ(redact("sasl.jaas.config=PlainLoginModule required username=\"a\" password=\"b\";"),
            "sasl.jaas.config=[redacted]");
  EXPECT_EQ(redact("secret="), "secret=");
  EXPECT_EQ(redact("password='unfinished"), "password='[redacted]");
  EXPECT_EQ(redact("amqp://u:p@h,amqp://v:q@i and http://h:80/"),
            "amqp://u:[redacted]@h,amqp://v:[redacted]@i and http://h:80/");
  const std::string harmless = "2026-11-22T00:00:00Z INFO  app: ready kafka=127.0.0.1:9092 topic=secrets\n\n";
  EXPECT_EQ(redact(harmless), harmless);
}

}  // namespace
}  // namespace mr::cli
