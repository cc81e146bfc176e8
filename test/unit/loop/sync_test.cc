// Waiting between coroutines: order, passing of permits, events, gates.
#include "loop/sync.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

namespace benchfs {
namespace {

using Notes = std::vector<std::string>;

struct Fixture {
  Fixture() : loop(make()), scope(*loop) {}
  static std::unique_ptr<Loop> make() {
    auto made = Loop::create({});
    REQUIRE(made);
    return std::move(*made);
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) loop->turn();
  }
  std::unique_ptr<Loop> loop;
  Loop::Scope scope;
  Notes notes;
};

Task<void> wait_in(WaitQueue* queue, std::string name, Notes* notes) {
  co_await queue->wait();
  notes->push_back(name);
}

Task<void> take(Semaphore* semaphore, std::string name, Notes* notes) {
  co_await semaphore->acquire();
  notes->push_back(name);
}

Task<void> wait_event(Event* event, std::string name, Notes* notes) {
  co_await event->wait();
  notes->push_back(name);
}

Task<void> stay_inside(Gate* gate, Event* until) {
  const Gate::Pass pass = gate->enter();
  co_await until->wait();
}

TEST_SUITE("sync") {
  TEST_CASE("wait queue: wakes in the order of arrival, one at a time") {
    Fixture f;
    WaitQueue queue;
    queue.wake_one();  // nobody there: no wake-up is stored
    for (const char* name : {"a", "b", "c"}) wait_in(&queue, name, &f.notes).detach();
    CHECK(queue.size() == 3);
    f.turns(3);
    CHECK(f.notes.empty());
    queue.wake_one();
    CHECK(f.notes.empty());  // through the run queue, not from inside
    f.turns(1);
    CHECK(f.notes == Notes{"a"});
    queue.wake_all();
    f.turns(1);
    CHECK(f.notes == Notes{"a", "b", "c"});
    CHECK(queue.empty());
  }

  TEST_CASE("semaphore: free permits are taken at once, the next one waits") {
    Fixture f;
    Semaphore semaphore(2);
    for (const char* name : {"a", "b", "c", "d"}) take(&semaphore, name, &f.notes).detach();
    CHECK(f.notes == Notes{"a", "b"});
    CHECK(semaphore.available() == 0);
    CHECK(semaphore.waiting() == 2);
    semaphore.release();
    semaphore.release();
    f.turns(1);
    CHECK(f.notes == Notes{"a", "b", "c", "d"});
    semaphore.release();
    CHECK(semaphore.available() == 1);
  }

  TEST_CASE("semaphore: a permit given back goes to the longest waiter, not to a newcomer") {
    Fixture f;
    Semaphore semaphore(1);
    take(&semaphore, "first", &f.notes).detach();
    take(&semaphore, "waiter", &f.notes).detach();
    semaphore.release();
    take(&semaphore, "newcomer", &f.notes).detach();
    f.turns(1);
    CHECK(f.notes == Notes{"first", "waiter"});
    semaphore.release();
    f.turns(1);
    CHECK(f.notes == Notes{"first", "waiter", "newcomer"});
  }

  TEST_CASE("event: frees all who wait, and those who come later at once") {
    Fixture f;
    Event event;
    wait_event(&event, "a", &f.notes).detach();
    wait_event(&event, "b", &f.notes).detach();
    f.turns(2);
    CHECK(f.notes.empty());
    CHECK_FALSE(event.is_set());
    event.set();
    event.set();
    f.turns(1);
    CHECK(f.notes == Notes{"a", "b"});
    wait_event(&event, "late", &f.notes).detach();
    CHECK(f.notes == Notes{"a", "b", "late"});
  }

  TEST_CASE("gate: drained waits until the last one has left") {
    Fixture f;
    Gate gate;
    Event first, second;
    stay_inside(&gate, &first).detach();
    stay_inside(&gate, &second).detach();
    CHECK(gate.inside() == 2);
    gate.close();
    CHECK(gate.closed());
    Task<void> drained = gate.drained();
    first.set();
    f.turns(3);
    CHECK_FALSE(drained.done());
    CHECK(gate.inside() == 1);
    second.set();
    f.loop->run(std::move(drained));
    CHECK(gate.inside() == 0);
  }

  TEST_CASE("gate: an empty one is drained at once") {
    Fixture f;
    Gate gate;
    gate.close();
    Task<void> drained = gate.drained();
    CHECK(drained.done());
  }

  TEST_CASE("gate: a pass that was moved counts once") {
    Fixture f;
    Gate gate;
    {
      Gate::Pass pass = gate.enter();
      const Gate::Pass moved = std::move(pass);
      CHECK(gate.inside() == 1);
    }
    CHECK(gate.inside() == 0);
  }
}

}  // namespace
}  // namespace benchfs
