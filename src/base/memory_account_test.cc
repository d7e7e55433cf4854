// Aim: charges go up the tree, refusals leave no trace, a charge is given back exactly once.
#include "base/memory_account.h"

#include <gtest/gtest.h>

namespace mr {
namespace {

TEST(MemoryAccount, RefusalsLeaveNoTrace) {
  MemoryAccount total("total", 100);
  MemoryAccount a("a", 80, &total);
  MemoryAccount b("b", 80, &total);
  auto first = MemoryCharge::take(a, 70);
  ASSERT_TRUE(first);
  EXPECT_FALSE(MemoryCharge::take(a, 11));  // over a's own limit
  EXPECT_FALSE(MemoryCharge::take(b, 31));  // over the parent's
  EXPECT_EQ(b.used(), 0u);
  EXPECT_EQ(total.used(), 70u);
  EXPECT_EQ(b.refused(), 1u);
  first = MemoryCharge();
  EXPECT_EQ(total.used(), 0u);
}

TEST(MemoryAccount, MoveAndDestroyGiveBackOnce) {
  MemoryAccount total("total", 100);
  {
    auto charge = MemoryCharge::take(total, 40);
    auto other = std::move(charge);
    EXPECT_EQ(total.used(), 40u);
  }
  EXPECT_EQ(total.used(), 0u);
}

}  // namespace
}  // namespace mr
