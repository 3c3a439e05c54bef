%matplotlib inline
!pip install einops
