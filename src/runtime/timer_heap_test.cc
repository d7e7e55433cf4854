// The timer heap against a plain multimap: random additions, cancellations and pops give the same order.
#include "runtime/timer_heap.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace mr {
namespace {

TimePoint at(int n) { return TimePoint(Duration(n)); }

TEST(TimerHeap, FiresInOrderOfTimeThenOfAdding) {
  TimerHeap heap;
  std::string fired;
  heap.add(at(2), [&] { fired += 'c'; });
  heap.add(at(1), [&] { fired += 'a'; });
  heap.add(at(1), [&] { fired += 'b'; });
  EXPECT_FALSE(heap.pop_due(at(0)));
  while (Callback fn = heap.pop_due(at(2))) fn();
  EXPECT_EQ(fired, "abc");
  EXPECT_EQ(heap.next(), kForever);
}

TEST(TimerHeap, OldIdsDoNotCancelNewTimers) {
  TimerHeap heap;
  TimerId first = heap.add(at(1), [] {});
  EXPECT_TRUE(heap.cancel(first));
  heap.add(at(1), [] {});  // takes the same slot
  EXPECT_FALSE(heap.cancel(first));
  EXPECT_FALSE(heap.cancel(TimerId{}));
  EXPECT_FALSE(heap.cancel(TimerId{~0ull}));
  EXPECT_EQ(heap.size(), 1u);
}

TEST(TimerHeap, MatchesModel) {
  std::mt19937_64 random(7);
  TimerHeap heap;
  std::map<std::pair<int, int>, TimerId> model;  // (when, number)
  int fired = -1;
  for (int n = 0; n < 20000; ++n) {
    switch (random() % 3) {
      case 0: {
        int when = static_cast<int>(random() % 500);
        model[{when, n}] = heap.add(at(when), [&fired, n] { fired = n; });
        break;
      }
      case 1: {
        if (model.empty()) break;
        auto victim = std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
        EXPECT_TRUE(heap.cancel(victim->second));
        model.erase(victim);
        break;
      }
      default: {
        int now = static_cast<int>(random() % 500);
        Callback fn = heap.pop_due(at(now));
        bool due = !model.empty() && model.begin()->first.first <= now;
        ASSERT_EQ(static_cast<bool>(fn), due);
        if (!due) break;
        fn();
        ASSERT_EQ(fired, model.begin()->first.second);
        model.erase(model.begin());
      }
    }
    ASSERT_EQ(heap.size(), model.size());
    ASSERT_EQ(heap.next(), model.empty() ? kForever : at(model.begin()->first.first));
  }
}

}  // namespace
}  // namespace mr
