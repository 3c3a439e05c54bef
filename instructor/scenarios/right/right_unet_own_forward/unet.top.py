from collections import deque
