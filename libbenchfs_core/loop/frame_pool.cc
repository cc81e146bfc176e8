// The pool of coroutine frames: per thread, one list of free frames per size class of 64 bytes.
//
// A frame that one thread allocated and another freed (two threads that use one client session)
// simply changes lists. Under AddressSanitizer the pool is off, so that a use of a dead frame is
// seen.
#include <array>
#include <new>

#include "loop/task.hpp"

namespace benchfs::detail {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kPooled = false;
#else
constexpr bool kPooled = true;
#endif
constexpr std::size_t kClassBytes = 64;
constexpr std::size_t kClasses = 32;  // frames up to 2 KiB

struct FreeFrame {
  FreeFrame* next;
};
// Coroutines may run after the thread's objects have gone (a session closed at exit): what they use
// is of types without destructor, and the pool is shut then. In the block of thread-local memory
// that is there from the start, for its size also if the library is loaded later: otherwise every
// access is a call, three for each frame.
struct Pool {
  std::array<FreeFrame*, kClasses> heads{};
  bool guarded = false;  ///< the thread has its shutter
  bool shut = false;
};
[[gnu::tls_model("initial-exec")]] thread_local constinit Pool pool{};

struct Shutter {
  void open() { pool.guarded = true; }
  ~Shutter() {
    pool.shut = true;
    for (FreeFrame*& head : pool.heads) {
      while (head != nullptr) ::operator delete(std::exchange(head, head->next));
    }
  }
};
thread_local Shutter shutter;

constexpr std::size_t class_of(std::size_t bytes) {
  return (bytes - 1) / kClassBytes;
}

}  // namespace

void* frame_allocate(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  if (!kPooled || index >= kClasses) return ::operator new(bytes);
  FreeFrame*& head = pool.heads[index];
  if (head == nullptr) return ::operator new((index + 1) * kClassBytes);
  return std::exchange(head, head->next);
}

void frame_free(void* frame, std::size_t bytes) noexcept {
  const std::size_t index = class_of(bytes);
  if (!kPooled || index >= kClasses || pool.shut) {
    ::operator delete(frame);
    return;
  }
  if (!pool.guarded) shutter.open();  // makes it, so that it is there at the thread's end
  FreeFrame*& head = pool.heads[index];
  head = new (frame) FreeFrame{head};
}

}  // namespace benchfs::detail
