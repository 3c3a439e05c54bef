<<<<<<< HEAD
SCALE = 1
=======
SCALE = 2
>>>>>>> decoder
