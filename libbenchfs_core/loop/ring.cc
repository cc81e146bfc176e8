// The io_uring: set-up with the newest flags the kernel has, batched submission, completions to the run
// queue. SQPOLL is not used: on few cores it takes the core that the server needs.
#include "loop/ring.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace benchfs {

Result<std::unique_ptr<Ring>> Ring::create(Loop& loop, Options options) {
  auto ring = std::unique_ptr<Ring>(new Ring(loop));
  // Newest first: deferred task work costs the fewest interrupts (kernel 6.1), then 5.19, then any.
  const unsigned flag_sets[] = {
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0};
  int rc = -EINVAL;
  for (const unsigned flags : flag_sets) {
    rc = io_uring_queue_init(options.entries, &ring->ring_, flags);
    if (rc != -EINVAL) break;
  }
  if (rc < 0) return fail(errc_from_errno(-rc), -rc);
  ring->live_ = true;
  ring->capacity_ = ring->ring_.cq.ring_entries;
  // With deferred task work the ring's own descriptor does not wake a poller: the completion is only made
  // when this thread enters the kernel. An eventfd is signalled as soon as there is such work.
  ring->event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (ring->event_fd_ < 0) return fail(errc_from_errno(errno), errno);
  rc = io_uring_register_eventfd(&ring->ring_, ring->event_fd_);
  if (rc < 0) return fail(errc_from_errno(-rc), -rc);
  BFS_CHECK(added, loop.add_source(*ring));
  ring->added_ = true;
  return ring;
}

Ring::~Ring() {
  BFS_ASSERT(in_flight_ == 0);  // buffers belong to the kernel until their completion
  if (added_) loop_.remove_source(*this);
  if (live_) io_uring_queue_exit(&ring_);
  if (event_fd_ >= 0) close(event_fd_);
}

Status Ring::register_buffer(std::span<std::byte> memory) {
  const iovec segment{memory.data(), memory.size()};
  if (const int rc = io_uring_register_buffers(&ring_, &segment, 1); rc < 0) {
    return fail(errc_from_errno(-rc), -rc);
  }
  registered_ = memory;
  return {};
}

bool Ring::inside_registered(const void* data, std::size_t bytes) const {
  const auto* first = static_cast<const std::byte*>(data);
  return !registered_.empty() && first >= registered_.data() &&
         first + bytes <= registered_.data() + registered_.size();
}

io_uring_sqe* Ring::next_sqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
  }
  return sqe;
}

bool Ring::poll() {
  if (in_flight_ == 0) return false;
  if (io_uring_sq_ready(&ring_) > 0) io_uring_submit(&ring_);
  io_uring_cqe* batch[64];
  const unsigned count = io_uring_peek_batch_cqe(&ring_, batch, 64);
  for (unsigned i = 0; i < count; ++i) {
    auto* op = static_cast<Op*>(io_uring_cqe_get_data(batch[i]));
    op->result_ = batch[i]->res;
    loop_.post(op->waiter_);
  }
  io_uring_cq_advance(&ring_, count);
  in_flight_ -= count;
  if (count > 0) signalled_ = true;
  for (unsigned i = 0; i < count; ++i) room_.wake_one();
  return count > 0;
}

bool Ring::prepare_sleep() {
  if (in_flight_ > 0 || signalled_) {
    // Before the look at the completions, so that one that comes after it is not lost.
    std::uint64_t count = 0;
    [[maybe_unused]] const auto drained = ::read(event_fd_, &count, sizeof(count));
    signalled_ = false;
  }
  if (in_flight_ == 0) return true;
  if (io_uring_sq_ready(&ring_) > 0) io_uring_submit(&ring_);
  if (io_uring_sq_ready(&ring_) > 0) return false;  // the kernel had no room: try again
  // With deferred task work the completion is made by entering the kernel; ask before sleeping.
  io_uring_cqe* cqe = nullptr;
  return io_uring_peek_cqe(&ring_, &cqe) != 0;
}

Ring::Op Ring::read(int fd, std::span<std::byte> into, std::uint64_t offset) {
  return Op(*this, Op::Kind::read, fd, into.data(), into.size(), offset);
}
Ring::Op Ring::write(int fd, std::span<const std::byte> from, std::uint64_t offset) {
  // The kernel only reads from it; io_uring's interface has one pointer type for both directions.
  return Op(*this, Op::Kind::write, fd, const_cast<std::byte*>(from.data()), from.size(), offset);
}
Ring::Op Ring::fdatasync(int fd) { return Op(*this, Op::Kind::fdatasync, fd, nullptr, 0, 0); }

void Ring::Op::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  if (ring_.in_flight_ < ring_.capacity_) {
    submit();
  } else {
    submit_when_room(this).detach();
  }
}

Task<void> Ring::Op::submit_when_room(Op* op) {
  while (op->ring_.in_flight_ >= op->ring_.capacity_) co_await op->ring_.room_.wait();
  op->submit();
}

void Ring::Op::submit() {
  io_uring_sqe* sqe = ring_.next_sqe();
  const auto bytes = static_cast<unsigned>(bytes_);
  const bool fixed = kind_ != Kind::fdatasync && ring_.inside_registered(data_, bytes_);
  switch (kind_) {
    case Kind::read:
      if (fixed) {
        io_uring_prep_read_fixed(sqe, fd_, data_, bytes, offset_, 0);
      } else {
        io_uring_prep_read(sqe, fd_, data_, bytes, offset_);
      }
      break;
    case Kind::write:
      if (fixed) {
        io_uring_prep_write_fixed(sqe, fd_, data_, bytes, offset_, 0);
      } else {
        io_uring_prep_write(sqe, fd_, data_, bytes, offset_);
      }
      break;
    case Kind::fdatasync:
      io_uring_prep_fsync(sqe, fd_, IORING_FSYNC_DATASYNC);
      break;
  }
  io_uring_sqe_set_data(sqe, this);
  ++ring_.in_flight_;
}

}  // namespace benchfs
